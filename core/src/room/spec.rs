//! The properties of a component that its rooms depend on: the checked result of `describe`.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

/// The properties of a component. Built by `host` from the manifest; equal on every host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentSpec {
    pub state_version: u32,
    /// Players, spectators not counted. 0 means no limit but [`ComponentSpec::MAX_MEMBERS`].
    pub max_players: u32,
    /// Sessions of one player that are members at a time: a further one replaces the oldest. 0 means no limit.
    pub sessions_per_player: u32,
    /// How long a dropped member's seat is held, in milliseconds.
    pub hold_ms: u64,
    /// Whether the room stays open without members.
    pub keep_when_empty: bool,
    /// How long an empty room that is not kept stays open, in milliseconds.
    pub empty_ms: u64,
    /// Faults in a row that end the room.
    pub max_faults: u32,
    /// Fuel for one record that a client has caused.
    pub fuel_per_message: u64,
    /// Living rooms that a room may have created, including the rooms that those have created in turn.
    pub max_rooms: u32,
    /// Timers pending at a time.
    pub max_timers: usize,
    /// Message types that have a handler.
    pub messages: BTreeSet<Box<str>>,
    /// Timers that have a handler.
    pub timers: BTreeSet<Arc<str>>,
    /// Handlers of requests' answers.
    pub answers: BTreeSet<Arc<str>>,
    /// Whether clients get the script's own error text when it fails on their input. A server for the script's author (`chorus
    /// dev`) always sets this, so that a replay makes the same frames.
    pub shows_failures: bool,
}

impl ComponentSpec {
    /// Members of one room, spectators counted: as many as a snapshot can hold and a broadcast can reach within one record.
    pub const MAX_MEMBERS: usize = 20_000;
}
