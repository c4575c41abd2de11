//! Starts a guest in a store of its own, and runs its calls.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use chorus_core::{
    command::Fault,
    effect::{CallContext, Effect},
};
use wasmtime::Store;

use super::{
    contract,
    fault::{self, GuestError},
    metering::{Allowance, Metering},
    store_data::StoreData,
};

/// Bounds of a new store.
pub(super) struct Bounds {
    pub memory: u64,
    pub allowance: Allowance,
    pub max_hostcall_bytes: usize,
}

pub(super) enum StartError {
    /// All slots for instances are taken.
    Full,
    Guest(GuestError),
}

/// A new store with the guest in it, at the time and with the seed of `context`.
pub(super) async fn start(
    pre: &contract::RoomPre<StoreData>,
    metering: &Metering,
    bounds: Bounds,
    context: &CallContext,
) -> Result<(Store<StoreData>, contract::Room), StartError> {
    let mut store = Store::new(pre.engine(), StoreData::new(bounds.memory, context));
    store.limiter(|data| &mut data.memory);
    store.set_hostcall_fuel(bounds.max_hostcall_bytes);
    metering.set_up(&mut store);
    metering.begin(&mut store, bounds.allowance);
    match run(pre.instantiate_async(&mut store)).await {
        Ok(guest) => Ok((store, guest)),
        Err(error) if error.is::<wasmtime::PoolConcurrencyLimitError>() => Err(StartError::Full),
        Err(error) => {
            let printed = store.data().take_printed();
            Err(StartError::Guest(call_error(&store, &error, bounds.allowance.fuel, &printed)))
        }
    }
}

/// Why a call failed. `fuel`: what the call had. `printed`: what the guest printed in it.
pub(super) fn call_error(
    store: &Store<StoreData>,
    error: &wasmtime::Error,
    fuel: u64,
    printed: &[Effect],
) -> GuestError {
    match store.data().meter.overspent() {
        Some(over) => Fault::TooMuch(over.to_string().into()).into(),
        None => fault::of_trap(error, fuel, printed),
    }
}

/// Runs a call to its end. Nothing that a guest can call waits (see [`super::wasi`]), so a pending call has run for a slice, or
/// has burnt [`YIELD_INTERVAL`](super::budget::YIELD_INTERVAL), and yields.
pub(super) async fn run<T>(call: impl Future<Output = T>) -> T {
    run_timed(call).await.0
}

/// Likewise, and returns how long the call ran, without the time in which other tasks ran.
pub(super) async fn run_timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let mut call = pin!(call);
    let mut busy = Duration::ZERO;
    loop {
        let begun = Instant::now();
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        busy += begun.elapsed();
        if let Poll::Ready(done) = polled {
            return (done, busy);
        }
        others_run().await;
    }
}

/// Lets other tasks run, and those that wait for the reactor. A task that yields waits until the reactor has been polled, but is
/// woken last then, and the scheduler runs the task first that was woken last: so it yields once more.
async fn others_run() {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}
