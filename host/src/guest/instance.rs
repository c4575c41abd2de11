//! One room's running guest.

use std::{
    fmt,
    time::{Duration, Instant},
};

use chorus_core::{
    command::Fault,
    effect::{CallContext, Effect, Event, RoomInfo, SavedState},
    ids::RoomId,
};
use wasmtime::Store;

use super::{
    budget, contract, decode, encode,
    engine::Component,
    fault::GuestError,
    start::{Bounds, StartError, call_error, run_timed, start},
    store_data::StoreData,
};

/// The effects of one call, and its cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOutput {
    pub effects: Vec<Effect>,
    pub fuel: u64,
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

/// One room's running guest. After a failed call, or one that was dropped half-way, it cannot be used again.
pub struct Instance {
    component: Component,
    room: RoomId,
    store: Store<StoreData>,
    guest: contract::Room,
    /// Bytes of memory after it was opened.
    began_with: u64,
    /// Time in which it ran, without the time in which it waited for other tasks.
    busy: Duration,
    poisoned: bool,
    /// The log of the call that failed.
    failed_log: Vec<Effect>,
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
        let (fuel, max_hostcall_bytes) = (budget.fuel_for_state(), budget.max_hostcall_bytes());
        let bounds = Bounds { memory: budget.memory, fuel, max_hostcall_bytes };
        let begun = Instant::now();
        let (store, guest) = start(self.pre(), bounds, context).await.map_err(|error| match error {
            StartError::Full => InstantiateError::Full(self.max_instances()),
            StartError::Guest(error) => InstantiateError::Start(error),
        })?;
        let (component, busy, failed_log) = (self.clone(), begun.elapsed(), Vec::new());
        Ok(Instance { component, room, store, guest, began_with: 0, busy, poisoned: false, failed_log })
    }
}

impl Instance {
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Opens the room in this instance, fresh or from its saved state. Called once, first.
    pub async fn open(&mut self, info: &RoomInfo, saved: Option<&SavedState>) -> Result<CallOutput, GuestError> {
        let fuel = self.component.manifest().config.budget.fuel_for_state();
        self.enter(Some(&info.context), fuel)?;
        let room = encode::encode_room(info, self.component.manifest(), self.component.check_scripts());
        let (version, saved) = saved.map_or((0, ""), |saved| (saved.version, &saved.state));
        let (result, busy) = run_timed(self.guest.call_open(&mut self.store, &room, version, saved)).await;
        self.busy += busy;
        self.began_with = self.store.data().memory.used();
        match self.result(result, fuel)? {
            Ok(effects) => self.finish(effects, fuel).await,
            Err(message) => Err(GuestError::Refused(message)),
        }
    }

    /// Whether a new instance in its place would be much smaller: it uses more than half of its kind's memory, and has
    /// allocated most of that since it was opened. A script that keeps data outside its state does that, and so may a
    /// garbage collector.
    pub fn is_overgrown(&self) -> bool {
        let used = self.store.data().memory.used();
        used > self.component.manifest().config.budget.memory / 2 && used > 2 * self.began_with
    }

    /// Hands the guest one record, with this much fuel, or by default as much as any record has.
    pub async fn handle(
        &mut self,
        context: &CallContext,
        event: &Event,
        fuel: Option<u64>,
    ) -> Result<CallOutput, GuestError> {
        let most = self.component.manifest().config.budget.fuel;
        let fuel = fuel.map_or(most, |fuel| fuel.min(most));
        self.enter(Some(context), fuel)?;
        let (now, chance) = (context.now.0 as f64, encode::HexSeed::of(&context.seed));
        let encoded = encode::encode_event(event);
        let (event, who, what, data) = (encoded.event, encoded.who(), &encoded.what, encoded.data);
        let call = self.guest.call_handle(&mut self.store, now, chance.as_str(), event, who, what, data);
        let (result, busy) = run_timed(call).await;
        self.busy += busy;
        match self.result(result, fuel)? {
            Ok(effects) => self.finish(effects, fuel).await,
            Err(message) => Err(Fault::Threw(message).into()),
        }
    }

    /// The state after the last successful call. The guest's time is still that of the last call.
    pub async fn save(&mut self) -> Result<SavedState, GuestError> {
        let fuel = self.component.manifest().config.budget.fuel_for_state();
        self.enter(None, fuel)?;
        let (result, busy) = run_timed(self.guest.call_save(&mut self.store)).await;
        self.busy += busy;
        let saved = match self.result(result, fuel)? {
            Ok(saved) => {
                let component = self.component.clone();
                check(saved.len(), move || decode::decode_saved(saved, component.manifest())).await?
            }
            Err(message) => return Err(Fault::Threw(message).into()),
        };
        self.debug_log(&self.store.data().take_printed());
        self.poisoned = false;
        Ok(saved)
    }

    /// How long the guest has run since this function was last called, by this machine's clock.
    pub fn take_busy(&mut self) -> Duration {
        std::mem::take(&mut self.busy)
    }

    /// Before a call. Until [`Instance::finish`], the instance counts as failed: a call that is dropped half-way leaves
    /// the guest in an unknown state.
    fn enter(&mut self, context: Option<&CallContext>, fuel: u64) -> Result<(), GuestError> {
        if std::mem::replace(&mut self.poisoned, true) {
            return Err(GuestError::Poisoned);
        }
        if let Some(context) = context {
            self.store.data_mut().enter(context);
        }
        self.store.data().meter.reset();
        self.store.set_fuel(fuel).expect("fuel is on");
        Ok(())
    }

    /// After a call: the guest's result, or the text of its error. A trap becomes a fault.
    fn result(&mut self, result: wasmtime::Result<String>, fuel: u64) -> Result<Result<String, Box<str>>, GuestError> {
        match result {
            Ok(text) => Ok(decode::decode_result(text, self.component.manifest()).map_err(|failed| {
                self.failed_log = self.store.data().take_printed();
                self.failed_log.extend(failed.log);
                failed.message
            })),
            Err(error) => {
                self.failed_log = self.store.data().take_printed();
                Err(call_error(&self.store, &error, fuel, &self.failed_log))
            }
        }
    }

    /// After a call that succeeded: checks its effects.
    async fn finish(&mut self, text: String, fuel: u64) -> Result<CallOutput, GuestError> {
        let printed = self.store.data().take_printed();
        let (bytes, component) = (text.len(), self.component.clone());
        let decode = move || {
            let manifest = component.manifest();
            decode::decode_effects(&text, printed, manifest)
                .map_err(|fault| (fault, decode::decode_failed_log(&text, manifest)))
        };
        match check(bytes, decode).await {
            Ok(effects) => {
                self.poisoned = false;
                Ok(CallOutput { effects, fuel: fuel - self.store.get_fuel().expect("fuel is on") })
            }
            Err((fault, log)) => {
                self.failed_log = log;
                Err(fault.into())
            }
        }
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

/// Checks so many bytes of a guest's text: in place if they are few, else on a thread that may block.
async fn check<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= budget::MAX_IN_PLACE {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
