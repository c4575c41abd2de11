//! The targets of `chorus_bus::embedded::fuzz`.

#![no_main]

mod chosen;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chosen::run(chorus_bus::embedded::fuzz::TARGETS, bytes));
