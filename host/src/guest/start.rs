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
    budget, contract,
    fault::{self, GuestError},
    store_data::StoreData,
};

/// Bounds of a new store.
pub(super) struct Bounds {
    pub memory: u64,
    pub fuel: u64,
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
    bounds: Bounds,
    context: &CallContext,
) -> Result<(Store<StoreData>, contract::Room), StartError> {
    let mut store = Store::new(pre.engine(), StoreData::new(bounds.memory, context));
    store.limiter(|data| &mut data.memory);
    store.set_hostcall_fuel(bounds.max_hostcall_bytes);
    store.fuel_async_yield_interval(Some(budget::YIELD_INTERVAL)).expect("fuel is on");
    store.set_fuel(bounds.fuel).expect("fuel is on");
    match run(pre.instantiate_async(&mut store)).await {
        Ok(guest) => Ok((store, guest)),
        Err(error) if error.is::<wasmtime::PoolConcurrencyLimitError>() => Err(StartError::Full),
        Err(error) => {
            let printed = store.data().take_printed();
            Err(StartError::Guest(call_error(&store, &error, bounds.fuel, &printed)))
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

/// Runs a call to its end. Nothing that a guest can call waits (see [`super::wasi`]), so a pending call has burnt
/// [`budget::YIELD_INTERVAL`] and yields: other tasks, and the reactor, run before it is polled again.
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
        tokio::task::yield_now().await;
    }
}
