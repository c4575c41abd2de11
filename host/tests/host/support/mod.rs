//! The parts that the stories are made of.

pub mod guests;
pub mod stage;
pub mod world;

pub use chorus_testing::{
    DEADLINE,
    cast::{ANA, BEN, CLEO, FIRST, create, join, kind, machine, message, player},
    until, within,
};
