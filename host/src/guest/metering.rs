//! How the work of a guest is limited: see `docs/adr/0014-metering.md`.
//!
//! | a component | is limited by | and, at the latest, by |
//! |---|---|---|
//! | of our engine, by a custom section | polls, which it counts itself | slices of time |
//! | any other | fuel, which its compiled code counts | |
//!
//! Polls and fuel depend on the component and its records alone. Slices do not, so a call that may be a repetition is never
//! decided by them: see [`GuestError::OutOfTime`](super::GuestError). The limits of a kind are in fuel, and a poll stands for
//! [`budget::POLL_FUEL`] of it.

use chorus_core::command::Fault;
use wasmtime::Store;

use super::{
    budget,
    epochs::{Epochs, Slices},
    source_map,
    store_data::StoreData,
};

/// The custom section of a component that meters itself, and its content; see `engine/build.mjs`.
const SECTION: &str = "chorus:meter";
const POLLS: &[u8] = b"polls";

/// The metering of one component. Cheap to clone.
#[derive(Clone)]
pub(super) enum Metering {
    Polls(Epochs),
    Fuel,
}

/// What one call may cost.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    pub fuel: u64,
    /// The call may have been made before: it gets more time.
    pub repeats: bool,
}

impl Allowance {
    pub(super) fn new(fuel: u64) -> Allowance {
        Allowance { fuel, repeats: false }
    }

    /// The polls that the call may take.
    fn polls(self) -> u64 {
        self.fuel / budget::POLL_FUEL
    }

    fn slices(self) -> u64 {
        budget::slices(self.fuel) * if self.repeats { budget::REPEATED_SLICES } else { 1 }
    }
}

/// Whether a component meters itself. One that only claims to is still limited by time.
pub(super) fn meters_itself(wasm: &[u8]) -> bool {
    source_map::section(wasm, SECTION) == Some(POLLS)
}

impl Metering {
    /// For a new store.
    pub(super) fn set_up(&self, store: &mut Store<StoreData>) {
        match self {
            Metering::Polls(epochs) => {
                let epochs = epochs.clone();
                store.epoch_deadline_callback(move |mut store| {
                    epochs.mark_long();
                    store.data_mut().slices.turn()
                });
            }
            Metering::Fuel => store.fuel_async_yield_interval(Some(budget::YIELD_INTERVAL)).expect("fuel is on"),
        }
    }

    /// Before a call.
    pub(super) fn begin(&self, store: &mut Store<StoreData>, allowance: Allowance) {
        match self {
            Metering::Polls(epochs) => {
                epochs.mark_busy();
                store.data_mut().slices = Slices::new(allowance.slices());
                store.set_epoch_deadline(1);
            }
            Metering::Fuel => store.set_fuel(allowance.fuel).expect("fuel is on"),
        }
    }

    /// The limit that the guest itself is given for an entry: 0 without a meter of its own.
    pub(super) fn limit(&self, allowance: Allowance) -> u64 {
        match self {
            Metering::Polls(_) => allowance.polls(),
            Metering::Fuel => 0,
        }
    }

    /// The fuel of an entry that is done. `used`: what it has used by the guest's own meter, if it has one. A component that only
    /// claims to meter itself may have stated any number.
    pub(super) fn fuel(&self, store: &Store<StoreData>, allowance: Allowance, used: u64) -> u64 {
        match self {
            Metering::Polls(_) => used.min(allowance.polls()) * budget::POLL_FUEL,
            Metering::Fuel => allowance.fuel - store.get_fuel().expect("fuel is on"),
        }
    }

    /// The fault of an entry whose outcome is `exhausted`.
    pub(super) fn exhausted(&self, allowance: Allowance) -> Fault {
        match self {
            Metering::Polls(_) => Fault::OutOfFuel(allowance.fuel),
            Metering::Fuel => {
                Fault::Garbage("the outcome `exhausted` of a component without a meter of its own".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_of_ours_says_so_and_any_other_does_not() {
        let engine = include_bytes!("../../../engine/engine.wasm");
        assert!(meters_itself(engine));
        let others: [&[u8]; 3] = [b"", b"\0asm\x0d\0\x01\0", b"\0asm\x0d\0\x01\0\0\x12\x0cchorus:meterfuels"];
        for other in others {
            assert!(!meters_itself(other));
        }
    }
}
