//! The targets of `chorus_monitor::admin::fuzz`.

#![no_main]

mod chosen;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chosen::run(chorus_monitor::admin::fuzz::TARGETS, bytes));
