//! Rooms in their sandbox: real guests, one tiny fixture for each behaviour.
//!
//! Two ways to run a room: on a [`Stage`](support::stage) (the machine and its guest, nothing else: inputs and outputs,
//! call by call) and in a [`World`](support::world) (a host on its log and store, and a fake edge).

mod backstop;
mod batches;
mod cells;
mod chance;
mod changes;
mod charges;
mod checkpoints;
mod clock;
mod collisions;
mod crash;
mod faults;
mod life;
mod limits;
mod loading;
mod metered;
mod pool;
mod replay;
mod roles;
mod rooms;
mod support;
mod swap;
mod takeover;
mod throws;
mod whole;
