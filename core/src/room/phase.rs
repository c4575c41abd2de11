//! What the machine waits for.

use super::{state::State, step::Step};
use crate::{
    effect::Event,
    ids::{Digest, Offset},
};

/// The input that the machine waits for, and the room's state.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// The next record, which may create the room.
    #[default]
    Absent,
    /// The next record.
    Idle(Box<State>),
    /// An instance, for the guest work that follows.
    Opening(Box<Step>, OpenedFor),
    /// The outcome of a call.
    Calling(Box<Step>),
    /// The outcome of a swap.
    Swapping(Box<Step>, Digest),
    /// The guest's state.
    Saving(Box<State>),
    /// The machine's own `Fault` record.
    AwaitingFault(Box<State>),
    /// The machine's own `Close` record.
    AwaitingClose(Box<State>),
    /// The next record, which gets no more than an answer: the room has ended.
    Ended,
}

/// Why an instance is opened.
#[derive(Debug)]
pub(super) enum OpenedFor {
    Event(Event),
    /// An instance of the old component, so that it can save.
    Swap(Digest),
}

impl Phase {
    pub fn state(&self) -> Option<&State> {
        match self {
            Phase::Idle(state) | Phase::Saving(state) | Phase::AwaitingFault(state) | Phase::AwaitingClose(state) => {
                Some(state)
            }
            Phase::Opening(step, _) | Phase::Calling(step) | Phase::Swapping(step, _) => Some(&step.state),
            Phase::Absent | Phase::Ended => None,
        }
    }

    /// The record whose guest work the machine waits for.
    pub fn in_hand(&self) -> Option<Offset> {
        match self {
            Phase::Opening(step, _) | Phase::Calling(step) | Phase::Swapping(step, _) => Some(step.offset),
            _ => None,
        }
    }

    /// Whether the next record can be applied.
    pub fn is_ready(&self) -> bool {
        matches!(self, Phase::Absent | Phase::Idle(_) | Phase::Ended)
    }
}
