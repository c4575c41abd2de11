//! Writes a component whose rooms answer each message by calling the host as often, and for as many bytes, as they may:
//! `host-calls FILE`. For `just bench --only host-calls`.

use chorus_host::guest::budget::{HOST_BYTES, HOST_CALLS};

fn main() {
    let file = std::env::args().nth(1).expect("the file to write");
    let each = HOST_BYTES / HOST_CALLS;
    let body = format!("(call $random-bytes (i64.const {each}) (i32.const 16))");
    let text = include_str!("../tests/host/support/metered.wat").replace("$BODY", &body);
    let component = wat::parse_str(text).expect("it is a component");
    std::fs::write(file, component).expect("written");
}
