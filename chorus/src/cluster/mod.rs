//! The same machines as `chorus dev`, as processes on many machines: edges, hosts and monitors over Kafka and Postgres.
//!
//! Where to start: `process` is the life of every machine, from its registration to its end; `edge`, `host` and `monitor` are
//! what each role adds to it; `connect` connects a process to the broker and the database, and `pairing` checks that these
//! belong together; `heartbeat` sends a machine's heartbeats; `status` serves operators' tools on each of them.

mod connect;
pub mod edge;
mod heartbeat;
pub mod host;
pub mod migrate;
pub mod monitor;
mod pairing;
mod process;
mod status;

pub use connect::Options as ConnectOptions;
pub use process::run;
