//! A running guest: of one room, or of the rooms of a [`super::cell`].

use std::{
    fmt,
    time::{Duration, Instant},
};

use chorus_core::{
    command::Fault,
    effect::{CallContext, Effect, Event, RoomInfo, SavedState},
    ids::RoomId,
    room::Entry,
};
use wasmtime::Store;

use super::{
    budget,
    cell::Selection,
    contract,
    decode::{self, Cause, Done, Failed, Settled},
    encode,
    engine::{Component, Counted},
    fault::GuestError,
    metering::Allowance,
    stack::StackRelease,
    start::{Bounds, StartError, call_error, run_timed, start},
    store_data::StoreData,
};

/// The effects of one call, and its cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOutput {
    pub effects: Vec<Effect>,
    pub fuel: u64,
}

/// The results of the first records of a batch, up to and including the first that has failed, and the fuel of each.
#[derive(Debug)]
pub struct BatchOutput {
    pub results: Vec<Result<Vec<Effect>, Fault>>,
    pub fuel: Vec<u64>,
}

/// Why no instance could be made.
#[derive(Debug, thiserror::Error)]
pub enum InstantiateError {
    /// All slots are taken: hibernate a room, or raise `max_instances`.
    #[error("all {0} instances of this host are in use")]
    Full(u32),
    /// The guest failed before its first call.
    #[error("the component does not start: {0}")]
    Start(GuestError),
}

/// A running guest. After a failed call, or one that was dropped half-way, it cannot be used again, but for what is an error of one
/// room's entry in a cell.
pub struct Instance {
    component: Component,
    /// For logs; of a cell, the room that it was made for.
    room: RoomId,
    /// In a cell, the slot of the next call.
    selection: Option<Selection>,
    store: Store<StoreData>,
    guest: contract::Room,
    /// Bytes of memory after a room was last opened in it.
    began_with: u64,
    called_at: Instant,
    /// Time in which it ran, without the time in which it waited for other tasks.
    busy: Duration,
    poisoned: bool,
    /// The log of the call that failed.
    failed_log: Vec<Effect>,
    /// Made at its first use.
    stack_release: Option<StackRelease>,
    _counted: Counted,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Instance { component, room, poisoned, .. } = self;
        f.debug_struct("Instance")
            .field("room", room)
            .field("component", component)
            .field("poisoned", poisoned)
            .finish()
    }
}

impl Component {
    /// A new instance for `room`, at the time and with the seed of `context`. [`Instance::open`] comes next.
    pub async fn instantiate(&self, room: RoomId, context: &CallContext) -> Result<Instance, InstantiateError> {
        let budget = &self.manifest().config.budget;
        let (allowance, max_hostcall_bytes) = (Allowance::new(budget.fuel_for_state()), budget.max_hostcall_bytes());
        let bounds = Bounds { memory: budget.memory, allowance, max_hostcall_bytes };
        let begun = Instant::now();
        let (store, guest) =
            start(self.pre(), self.metering(), bounds, context).await.map_err(|error| match error {
                StartError::Full => InstantiateError::Full(self.max_instances()),
                StartError::Guest(error) => InstantiateError::Start(error),
            })?;
        let (component, busy, failed_log) = (self.clone(), begun.elapsed(), Vec::new());
        let (selection, poisoned, stack_release) = (None, false, None);
        let (began_with, called_at) = (0, begun);
        Ok(Instance {
            component,
            room,
            selection,
            store,
            guest,
            began_with,
            called_at,
            busy,
            poisoned,
            failed_log,
            stack_release,
            _counted: self.count_instance(),
        })
    }
}

impl Instance {
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Which room of a cell the next call is for.
    pub(super) fn select(&mut self, selection: Selection) {
        self.selection = Some(selection);
    }

    /// Whether it cannot be used again.
    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// How long ago its last call began.
    pub(super) fn idle(&self) -> Duration {
        self.called_at.elapsed()
    }

    /// Opens the room in this instance, or in its slot of a cell, fresh or from its saved state. Called once, first. `repeats`: as
    /// for [`Instance::handle`].
    pub async fn open(
        &mut self,
        info: &RoomInfo,
        saved: Option<&SavedState>,
        repeats: bool,
    ) -> Result<CallOutput, GuestError> {
        let fuel = self.component.manifest().config.budget.fuel_for_state();
        let allowance = Allowance { fuel, repeats };
        self.enter(Some(&info.context), allowance)?;
        let limit = self.component.metering().limit(allowance);
        let input = encode::encode_open(self.selection, info, &self.component, saved, limit);
        let answer = self.call(&input, fuel).await;
        self.began_with = self.store.data().memory.used();
        self.finish(answer?, allowance).await.map_err(|error| match error {
            GuestError::Fault(Fault::Threw(message)) => GuestError::Refused(message),
            other => other,
        })
    }

    /// Whether a new instance in its place would be much smaller: it uses more than half of its kind's memory, and has
    /// allocated most of that since it was opened. A script that keeps data outside its state does that, and so may a
    /// garbage collector.
    pub fn is_overgrown(&self) -> bool {
        self.uses_most_of_its_memory() && self.store.data().memory.used() > 2 * self.began_with
    }

    /// Whether it uses more than half of its kind's memory.
    pub(super) fn uses_most_of_its_memory(&self) -> bool {
        self.store.data().memory.used() > self.component.manifest().config.budget.memory / 2
    }

    /// Hands the guest one record, with this much fuel, or by default as much as any record has. `repeats`: it may have been
    /// handled before, so it gets more time, and to exceed it is no fault.
    pub async fn handle(
        &mut self,
        context: &CallContext,
        event: &Event,
        fuel: Option<u64>,
        repeats: bool,
    ) -> Result<CallOutput, GuestError> {
        let allowance = self.allowance(fuel, repeats);
        self.enter(Some(context), allowance)?;
        let input = encode::encode_event(self.selection, context, event, self.component.metering().limit(allowance));
        let answer = self.call(&input, allowance.fuel).await?;
        self.finish(answer, allowance).await
    }

    /// Hands the guest several records in one call, if its component can take them: see [`Component::takes_several`]. Each has the
    /// limit that it has alone. The call has the time of the one that may take the least.
    ///
    /// # Errors
    /// When the call has failed and no record can be named: each alone may succeed.
    pub async fn handle_all(&mut self, entries: &[Entry]) -> Result<BatchOutput, GuestError> {
        let allowances = entries.iter().map(|entry| self.allowance(entry.fuel, entry.repeats)).collect::<Vec<_>>();
        let least = allowances.iter().map(|allowance| allowance.fuel).min().unwrap_or(0);
        self.enter(entries.first().map(|entry| &entry.context), Allowance::new(least))?;
        let (component, count) = (self.component.clone(), entries.len());
        let limits = allowances.iter().map(|allowance| component.metering().limit(*allowance));
        let answer = self.call(&encode::encode_all(self.selection, entries, limits), least).await?;
        let of_check = component.clone();
        let decoded = check(answer, move |answer| decode::decode_all(answer, count, of_check.manifest())).await?;
        let mut output = BatchOutput { results: Vec::with_capacity(count), fuel: Vec::with_capacity(count) };
        for (Settled { effects, used }, allowance) in decoded.into_iter().zip(allowances) {
            output.fuel.push(component.metering().fuel(&self.store, allowance, used));
            output.results.push(match self.settle(effects, &[], allowance) {
                Ok(effects) => Ok(effects),
                Err(GuestError::Fault(fault)) => Err(fault),
                Err(other) => return Err(other),
            });
        }
        Ok(output)
    }

    /// What a record may cost; by default as much as any record.
    fn allowance(&self, fuel: Option<u64>, repeats: bool) -> Allowance {
        let most = self.component.manifest().config.budget.fuel;
        Allowance { fuel: fuel.map_or(most, |fuel| fuel.min(most)), repeats }
    }

    /// The state after the last successful call. The guest's time is still that of the last call.
    pub async fn save(&mut self) -> Result<SavedState, GuestError> {
        let fuel = self.component.manifest().config.budget.fuel_for_state();
        let allowance = Allowance { fuel, repeats: true };
        self.enter(None, allowance)?;
        let answer = self.call(&encode::encode_save(self.selection), fuel).await?;
        let component = self.component.clone();
        let saved = check(answer, move |answer| decode::decode_saved(answer, component.manifest())).await;
        let printed = self.store.data().take_printed();
        let saved = self.settle(saved, &printed, allowance)?;
        self.debug_log(&printed);
        Ok(saved)
    }

    /// Releases the memory of the stack, until the next call.
    pub async fn release_stack(&mut self) {
        if self.poisoned {
            return;
        }
        let release = self.stack_release.get_or_insert_with(|| StackRelease::new(&mut self.store));
        if let Err(error) = release.release(&mut self.store).await {
            tracing::warn!(room = %self.room, %error, "the memory of an idle stack is not released");
        }
    }

    /// How long the guest has run since this function was last called, by this machine's clock.
    pub fn take_busy(&mut self) -> Duration {
        std::mem::take(&mut self.busy)
    }

    /// Before a call. Until [`Instance::finish`], the instance counts as failed: a call that is dropped half-way leaves
    /// the guest in an unknown state.
    fn enter(&mut self, context: Option<&CallContext>, allowance: Allowance) -> Result<(), GuestError> {
        if std::mem::replace(&mut self.poisoned, true) {
            return Err(GuestError::Poisoned);
        }
        if let Some(context) = context {
            self.store.data_mut().enter(context);
        }
        self.store.data().meter.reset();
        self.component.metering().begin(&mut self.store, allowance);
        Ok(())
    }

    /// The guest's answer. A trap becomes a fault.
    async fn call(&mut self, input: &[u8], fuel: u64) -> Result<Vec<u8>, GuestError> {
        self.called_at = Instant::now();
        let (result, busy) = run_timed(self.guest.call_call(&mut self.store, input)).await;
        self.busy += busy;
        result.map_err(|error| {
            self.failed_log = self.store.data().take_printed();
            call_error(&self.store, &error, fuel, &self.failed_log)
        })
    }

    /// Checks the effects in the answer.
    async fn finish(&mut self, answer: Vec<u8>, allowance: Allowance) -> Result<CallOutput, GuestError> {
        let mut printed = self.store.data().take_printed();
        let (component, units) = (self.component.clone(), decode::log_length(&printed));
        let decoded = check(answer, move |answer| decode::decode_effects(answer, units, component.manifest())).await;
        let Done { mut effects, used } = self.settle(decoded, &printed, allowance)?;
        if !printed.is_empty() {
            printed.append(&mut effects);
            effects = printed;
        }
        let fuel = self.component.metering().fuel(&self.store, allowance, used);
        Ok(CallOutput { effects, fuel })
    }

    /// After the check of an answer: the instance can be used again, unless the entry failed. In a cell, an entry that threw or is
    /// exhausted has failed for its room alone.
    fn settle<T>(
        &mut self,
        checked: Result<T, Failed>,
        printed: &[Effect],
        allowance: Allowance,
    ) -> Result<T, GuestError> {
        let Failed { cause, log } = match checked {
            Ok(value) => {
                self.poisoned = false;
                return Ok(value);
            }
            Err(failed) => failed,
        };
        self.poisoned = self.selection.is_none() || matches!(cause, Cause::Fault(_));
        self.failed_log = [printed, &log].concat();
        Err(match cause {
            Cause::Threw(message) => Fault::Threw(message).into(),
            Cause::Exhausted => self.component.metering().exhausted(allowance).into(),
            Cause::Fault(fault) => fault.into(),
        })
    }

    /// Calls of host functions that the last call has made, and the bytes that they moved.
    pub fn host_calls(&self) -> (u64, u64) {
        let meter = &self.store.data().meter;
        (meter.calls(), meter.bytes())
    }

    /// What the failed call has logged and printed, since it has no effects.
    pub fn take_failed_log(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.failed_log)
    }

    /// Logs what was printed in a call that has no effects to carry it.
    fn debug_log(&self, printed: &[Effect]) {
        for effect in printed {
            if let Effect::Log { text, .. } = effect {
                tracing::debug!(room = %self.room, text = &**text, "printed");
            }
        }
    }
}

/// Checks a guest's answer: in place if it is short, else on a thread that may block.
async fn check<T: Send + 'static>(answer: Vec<u8>, work: impl FnOnce(&[u8]) -> T + Send + 'static) -> T {
    if answer.len() <= budget::MAX_IN_PLACE {
        return work(&answer);
    }
    match tokio::task::spawn_blocking(move || work(&answer)).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
