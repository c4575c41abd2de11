//! The targets of `chorus_store::fuzz`.

#![no_main]

mod chosen;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chosen::run(chorus_store::fuzz::TARGETS, bytes));
