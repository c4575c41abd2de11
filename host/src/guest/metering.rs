//! How the work of a guest is limited: see `docs/adr/0014-metering.md`.
//!
//! | a component | is limited by | and, at the latest, by |
//! |---|---|---|
//! | that imports `meter`, as our engine does | polls, which it counts itself | processor time |
//! | any other | fuel, which its compiled code counts | |
//!
//! Polls and fuel depend on the component and its records alone. Time does not, so a call that may be a repetition is never
//! decided by them: see [`GuestError::OutOfTime`](super::GuestError). The limits of a kind are in fuel, and a poll stands for
//! [`budget::POLL_FUEL`] of it.

use std::time::Duration;

use chorus_core::command::Fault;
use wasmparser::{Parser, Payload};
use wasmtime::Store;

use super::{
    budget,
    epochs::Epochs,
    slices::{End, METER},
    store_data::StoreData,
};

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

    fn time(self) -> Duration {
        budget::time(self.fuel) * if self.repeats { budget::REPEATED } else { 1 }
    }
}

/// Whether a component meters itself: whether it imports `meter`, of any version. One that only claims to is still limited by time.
pub(super) fn meters_itself(wasm: &[u8]) -> bool {
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::Version { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth -= 1,
            Ok(Payload::ComponentImportSection(section)) if depth == 1 => {
                if section.into_iter().flatten().any(|import| is_meter(import.name.name)) {
                    return true;
                }
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

fn is_meter(import: &str) -> bool {
    import.split_once('@').is_some_and(|(interface, _)| interface == METER)
}

impl Metering {
    /// For a new store.
    pub(super) fn set_up(&self, store: &mut Store<StoreData>) {
        match self {
            Metering::Polls(epochs) => {
                let epochs = epochs.clone();
                store.epoch_deadline_callback(move |mut store| {
                    let (next, end) = store.data_mut().slices.turn()?;
                    match end {
                        Some(End::Epoch) => epochs.mark_long(),
                        Some(End::Safepoint) | None => epochs.mark_busy(),
                    }
                    Ok(next)
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
                store.data_mut().slices.begin(allowance.time());
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
    fn a_component_that_imports_the_meter_meters_itself_and_no_other_does() {
        let engine = include_bytes!("../../../engine/engine.wasm");
        assert!(meters_itself(engine));
        let of = |import: &str| wat::parse_str(format!(r#"(component (import "{import}" (instance)))"#));
        assert!(meters_itself(&of("chorus:room/meter@9.0.0").expect("a component")));
        assert!(!meters_itself(&of("chorus:room/types@3.0.0").expect("a component")));
        let nested = r#"(component (component (import "chorus:room/meter@3.0.0" (instance))))"#;
        let others = [Vec::new(), b"\0asm\x0d\0\x01\0".to_vec(), wat::parse_str(nested).expect("a component")];
        for other in others {
            assert!(!meters_itself(&other));
        }
    }
}
