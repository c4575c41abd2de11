//! The targets of `host/src/guest/fuzz.rs`. The crate has wasmtime, which takes minutes to compile; its decoders need none of it. So
//! their files are included here.

#![no_main]
#![allow(dead_code, unused_imports)]

mod chosen;

#[path = "../../host/src/guest/budget.rs"]
mod budget;
#[path = "../../host/src/guest/decode.rs"]
mod decode;
#[path = "../../host/src/guest/fuzz.rs"]
mod fuzz;
#[path = "../../host/src/guest/layout.rs"]
mod layout;
#[path = "../../host/src/guest/manifest.rs"]
mod manifest;
#[path = "../../host/src/guest/parts.rs"]
mod parts;
#[path = "../../host/src/guest/shortened.rs"]
mod shortened;
#[path = "../../host/src/guest/source_map.rs"]
mod source_map;
#[path = "../../host/src/guest/strict_json.rs"]
mod strict_json;
#[path = "../../host/src/guest/utf16.rs"]
mod utf16;

use source_map::SourceMap;

/// As the contract has it.
mod contract {
    pub struct Manifest {
        pub state_version: u32,
        pub config: String,
        pub timers: Vec<String>,
        pub messages: Vec<String>,
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chosen::run(fuzz::TARGETS, bytes));
