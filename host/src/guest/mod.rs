//! The sandbox: a room's component, compiled, instantiated, called and bounded. The only code that uses wasmtime.
//!
//! An [`Engine`] loads a [`Component`] (compiled once, kept on disk by [`cache`]), a component makes [`Instance`]s, and
//! an instance takes and returns plain types of `core`. A guest's output is checked here: every JSON text is one value
//! that any parser accepts, every id is an id, every number is within the kind's [`Budget`]. The rest of chorus relies on these
//! checks.
//!
//! Where to start: [`budget`] holds every number with its reason; [`wasi`] is the closed list of what a guest may import
//! and how each import is served, from an instance's `store_data`; [`parts`] is what a component may be made of; `metering`
//! is how its work is limited, with `slices` of time and `epochs`; `compiler` sets wasmtime up for each metering, and `engine`
//! loads components; `start` puts one into a store, and `instance` calls it; `cell` shares one among rooms; `stack` has the stack of its calls; `runner` carries
//! out the calls of `core::room` with instances; `layout` is the encoding of the contract's buffers, `encode` writes those for a guest,
//! `decode` checks its answers; `fault`
//! classifies failures, and [`source_map`] finds their places in an author's files.
//!
//! Invariants of absence: a guest reaches no clock but its record's time, no randomness but its room's, no file, no
//! socket, no environment; nothing that it calls waits; its failure is an error here, never a panic.

pub mod budget;
mod cache;
mod cell;
mod compiler;
mod decode;
mod encode;
mod engine;
mod epochs;
mod fault;
mod functions;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod host_meter;
mod instance;
mod layout;
mod manifest;
mod memory;
mod metering;
pub mod parts;
mod printed;
mod rng;
mod runner;
mod shortened;
mod slices;
pub mod source_map;
mod stack;
mod start;
mod store_data;
mod strict_json;
mod utf16;
pub mod wasi;

pub use budget::Budget;
pub use engine::{Component, Engine, EngineError, LoadError, Misfit, Options};
pub use fault::GuestError;
pub use instance::{CallOutput, Instance, InstantiateError};
pub use manifest::{BadManifest, Config, Manifest};
pub use runner::{CannotLoad, Report, Resources, Runner, Unavailable};
pub use source_map::SourceMap;

/// The contract, as Rust: `wit/room.wit`. Arguments are borrowed, results are owned.
pub(crate) mod contract {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "room",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
