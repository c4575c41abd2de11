//! The targets of `chorus_core::fuzz`.

#![no_main]

mod chosen;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chosen::run(chorus_core::fuzz::TARGETS, bytes));
