//! Writes a component whose rooms answer each message by calling the host as often, and for as many bytes, as is possible
//! without a fault: `host-calls FILE`. For `just bench --only host-calls`.

use chorus_host::guest::budget::{MAX_HOST_BYTES, MAX_HOST_CALLS};

/// Calls that the frame of the component makes itself, with room to spare.
const ITS_OWN: u64 = 10;

fn main() {
    let file = std::env::args().nth(1).expect("the file to write");
    let (turns, each) = (MAX_HOST_CALLS - ITS_OWN, MAX_HOST_BYTES / MAX_HOST_CALLS);
    let body = format!(
        "(br_if $done (i32.ge_u (local.get $turn) (i32.const {turns})))
         (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
         (call $random-bytes (i64.const {each}) (i32.const 16))"
    );
    let text = include_str!("../tests/host/support/metered.wat").replace("$BODY", &body);
    let component = wat::parse_str(text).expect("it is a component");
    std::fs::write(file, component).expect("written");
}
