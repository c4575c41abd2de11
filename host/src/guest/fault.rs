//! How a guest fails, and how that is distinguished from the host's own failures.
//!
//! A fault's text goes into the log of the room, so it depends on the component and its records only: no addresses, no
//! backtraces, and never longer than [`budget::MAX_TEXT`](super::budget::MAX_TEXT).

use chorus_core::{command::Fault, effect::Effect};
use wasmtime::Trap;

use super::{shortened::shortened, slices::OutOfTime};

/// Why a call failed. The instance cannot be used again, for any of these reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuestError {
    /// The guest caused it.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// `open` refused, with the guest's own text: a migration that refuses, for instance.
    #[error("refused: {0}")]
    Refused(Box<str>),
    /// It ran for longer than its call may, by the clock of its thread, in milliseconds. The log decides whether that is a fault.
    #[error("took more than {0} ms")]
    OutOfTime(u64),
    /// An earlier call failed, or was dropped half-way.
    #[error("this instance has failed before")]
    Poisoned,
    /// The call has ended the instance, which other rooms share. It has no outcome: it is carried out again in an instance that the
    /// room has to itself.
    #[error("the instance, which other rooms share, has ended")]
    InCell,
    /// A call of another room has ended the instance.
    #[error("the instance was ended by another room that shares it")]
    OfCell,
    /// The guest did not cause it: this machine lacks a resource. The record is not at fault.
    #[error("this host could not run the guest: {0}")]
    Host(Box<str>),
}

/// The guest used WASI in a way that no guest may.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Forbidden(pub(crate) &'static str);

/// The guest requested more memory than its kind may have.
#[derive(Debug, thiserror::Error)]
#[error("out of memory ({0} bytes)")]
pub(crate) struct OutOfMemory(pub(crate) u64);

/// The fault behind a trap, or behind an error of wasmtime's in place of a result. `printed` is what the guest printed
/// before: the runtimes of most languages print the cause there, and then trap.
pub(crate) fn of_trap(error: &wasmtime::Error, fuel: u64, printed: &[Effect]) -> GuestError {
    if let Some(OutOfMemory(limit)) = error.downcast_ref() {
        return Fault::OutOfMemory(*limit).into();
    }
    if let Some(OutOfTime(limit)) = error.downcast_ref() {
        return GuestError::OutOfTime(limit.as_millis() as u64);
    }
    if let Some(Forbidden(text)) = error.downcast_ref() {
        return Fault::Trapped((*text).into()).into();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return Fault::OutOfFuel(fuel).into(),
        Some(Trap::AllocationTooLarge) => return GuestError::Host("an allocation failed".into()),
        Some(trap) => return Fault::Trapped(with_last_line(&trap.to_string(), printed)).into(),
        None => {}
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() || error.is::<wasmtime::OutOfMemory>() {
        return GuestError::Host(error.root_cause().to_string().into());
    }
    // The system has refused memory or another mapping (`vm.max_map_count`): no guest can cause an error of the system.
    let cause = error.root_cause();
    if cause.is::<rustix::io::Errno>() || cause.is::<std::io::Error>() {
        return GuestError::Host(cause.to_string().into());
    }
    let text = cause.to_string();
    if text.contains("hostcall") {
        return Fault::TooMuch("more data in one call than its kind may return".into()).into();
    }
    // The other errors are results that break the canonical ABI: text that is not UTF-8, a pointer out of bounds.
    Fault::Trapped(shortened(&text)).into()
}

fn with_last_line(trap: &str, printed: &[Effect]) -> Box<str> {
    let last = printed.iter().rev().find_map(|effect| match effect {
        Effect::Log { text, .. } => Some(text),
        _ => None,
    });
    match last {
        Some(last) => shortened(&format!("{trap}; its last words: {last}")),
        None => trap.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_is_the_hosts() {
        for error in [
            wasmtime::Error::from(std::io::Error::from_raw_os_error(12)).context("mmap"),
            wasmtime::Error::from(rustix::io::Errno::NOMEM),
        ] {
            let failed = of_trap(&error, 0, &[]);
            assert!(matches!(&failed, GuestError::Host(cause) if cause.contains("os error 12")), "{failed:?}");
        }
    }
}
