//! The Kafka back end against a real broker: the shared suite, and the tests that need a broker: it dies and returns, has
//! topics with other settings, and is full of other users' topics.
//!
//! `node testing/services/services.mjs kafka -- cargo test -p chorus-bus` starts one; with `--brokers 3`, every record of the
//! suite has three copies, and an append waits for two of them.

mod broker;
mod opening;
mod outages;
#[path = "../suite/mod.rs"]
mod suite;
mod topics;

use broker::Broker;
use suite::*;

mod shared {
    use super::*;
    suite!(Broker::shared);
}
