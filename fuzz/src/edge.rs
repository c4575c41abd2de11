//! The targets of `chorus_edge::fuzz`.

#![no_main]

mod chosen;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chosen::run(chorus_edge::fuzz::TARGETS, bytes));
