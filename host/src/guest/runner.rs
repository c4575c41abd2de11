//! Runs one room's guest: carries out the calls of `core::room`, for a host, the audit and tests alike.
//!
//! A [`Runner`] holds the room's instance. It separates a guest's failure, which is part of the call's [`Outcome`], from a
//! failure of this process, which is [`Unavailable`]: the call has no outcome then, and the machine opens another instance
//! (`room::Input::InstanceLost`). How long to wait for a missing resource, and whether to give up, is the caller's policy: see
//! [`Resources`].
//!
//! Where the kind and the process share instances, the room's instance is a slot of a [`super::cell`], until a call of the room has
//! ended one: with that component the room has an instance of its own from then on.
//!
//! Bounds: one instance, and a second one during a swap if the process has a free slot for it.

use std::{future::Future, sync::Arc, time::Duration};

use chorus_core::{
    command::Fault,
    effect::{Effect, RestoreReason, RoomInfo, SavedState},
    ids::{Digest, Offset, RoomId},
    room::{Call, ComponentSpec, Entry, Outcome, SwappedTo},
};

use super::{
    cell::{NotOpened, Seat},
    engine::{Component, LoadError},
    fault::GuestError,
    instance::{BatchOutput, CallOutput, Instance, InstantiateError},
};

/// What a runner needs from its process.
pub trait Resources: Send + Sync {
    /// The component of this digest.
    fn load(&self, component: Digest) -> impl Future<Output = Result<Component, CannotLoad>> + Send;

    /// A call of `room` lacks a component or an instance. Returns `true` when the runner should try again, and `false` to
    /// give up: the call then ends with `cause`.
    fn retry(&self, room: RoomId, cause: &Unavailable) -> impl Future<Output = bool> + Send;

    /// Whether rooms whose kind opts in by `config.share` share instances in this process.
    fn shares_instances(&self) -> bool {
        false
    }
}

/// Why there is no component. The texts are for people.
#[derive(Debug, thiserror::Error)]
pub enum CannotLoad {
    /// No process can ever load it.
    #[error("{0}")]
    Unusable(String),
    /// This process cannot load it now.
    #[error("{0}")]
    NotNow(String),
}

impl From<LoadError> for CannotLoad {
    fn from(error: LoadError) -> CannotLoad {
        let text = error.to_string();
        match error {
            LoadError::Full(_)
            | LoadError::SetUp(_)
            | LoadError::Start(GuestError::Host(_) | GuestError::OutOfTime(_))
            | LoadError::Describe(GuestError::Host(_) | GuestError::OutOfTime(_)) => CannotLoad::NotNow(text),
            _ => CannotLoad::Unusable(text),
        }
    }
}

/// Why a call has no outcome. The guest did not cause it, and the runner has no instance afterwards.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    #[error("component {component} cannot be run: {cause}")]
    Component { component: Digest, cause: CannotLoad },
    /// This process lacks a resource.
    #[error("this process could not run the guest: {0}")]
    Resource(Box<str>),
    /// No instance is open, or its last call was dropped half-way.
    #[error("the guest has no usable instance")]
    NoInstance,
    /// The instance, which other rooms shared, has ended in a call of this room or of another one. The room opens another one at once.
    #[error("the instance that the room shared has ended")]
    Cell,
}

/// What one call cost and logged, in addition to its outcome.
#[derive(Debug, Default)]
pub struct Report {
    /// The fuel that a [`Call::Handle`] or [`Call::HandleAll`] burnt: 0 if it failed, `None` for other calls.
    pub fuel: Option<u64>,
    /// How long the guest ran, by this machine's clock.
    pub busy: Duration,
    /// What each entry of a [`Call::HandleAll`] has cost in comparison with the others, up to the last that was carried out. None if
    /// the call has failed as a whole.
    pub shares: Vec<u64>,
    /// If a call of the held instance failed: its log lines up to the failure.
    pub failed_log: Option<Vec<Effect>>,
    /// The record of a batch that has failed.
    pub failed_at: Option<Offset>,
    /// The effects of a guest that was restored. Only log lines are valid there; the others must be dropped.
    pub restore_effects: Vec<Effect>,
    /// The old component was opened again after a failed swap, since there was no slot for two instances.
    pub reopened: bool,
}

/// One room's guest.
#[derive(Debug)]
pub struct Runner<R> {
    resources: R,
    room: RoomId,
    instance: Option<Held>,
    /// With this component, the room does not share an instance.
    alone_with: Option<Digest>,
    report: Report,
}

/// An opened instance, and the effects of its `open`.
type Opened = (Held, Vec<Effect>);

/// What a room is opened from, in a new instance.
#[derive(Clone, Copy)]
struct Opening<'a> {
    component: &'a Component,
    info: &'a RoomInfo,
    saved: Option<&'a SavedState>,
    repeats: bool,
}

/// The room's instance.
#[derive(Debug)]
enum Held {
    Own(Box<Instance>),
    Shared(Seat),
}

impl Held {
    fn component(&self) -> &Component {
        match self {
            Held::Own(instance) => instance.component(),
            Held::Shared(seat) => seat.component(),
        }
    }

    async fn handle(&mut self, entry: &Entry) -> Result<CallOutput, GuestError> {
        match self {
            Held::Own(instance) => instance.handle(&entry.context, &entry.event, entry.fuel, entry.repeats).await,
            Held::Shared(seat) => seat.handle(entry).await,
        }
    }

    async fn handle_all(&mut self, entries: &[Entry]) -> Result<BatchOutput, GuestError> {
        match self {
            Held::Own(instance) => instance.handle_all(entries).await,
            Held::Shared(seat) => seat.handle_all(entries).await,
        }
    }

    async fn save(&mut self) -> Result<SavedState, GuestError> {
        match self {
            Held::Own(instance) => instance.save().await,
            Held::Shared(seat) => seat.save().await,
        }
    }

    fn is_overgrown(&self) -> bool {
        match self {
            Held::Own(instance) => instance.is_overgrown(),
            Held::Shared(seat) => seat.is_overgrown(),
        }
    }

    fn take_busy(&mut self) -> Duration {
        match self {
            Held::Own(instance) => instance.take_busy(),
            Held::Shared(seat) => seat.take_busy(),
        }
    }

    fn take_failed_log(&mut self) -> Vec<Effect> {
        match self {
            Held::Own(instance) => instance.take_failed_log(),
            Held::Shared(seat) => seat.take_failed_log(),
        }
    }
}

impl<R: Resources> Runner<R> {
    /// Without an instance: the machine's first call opens one.
    pub fn new(resources: R, room: RoomId) -> Runner<R> {
        Runner { resources, room, instance: None, alone_with: None, report: Report::default() }
    }

    pub fn has_instance(&self) -> bool {
        self.instance.is_some()
    }

    /// The room's instance, if it has one of its own.
    pub fn own_instance(&self) -> Option<&Instance> {
        match &self.instance {
            Some(Held::Own(instance)) => Some(instance),
            Some(Held::Shared(_)) | None => None,
        }
    }

    pub fn drop_instance(&mut self) {
        self.instance = None;
    }

    /// Releases the memory that only calls need, until the next call. `idle`: the room has had no call for so long.
    pub async fn rest(&mut self, idle: Duration) {
        match &mut self.instance {
            Some(Held::Own(instance)) => instance.release_stack().await,
            Some(Held::Shared(seat)) => seat.release_stack(idle).await,
            None => {}
        }
    }

    /// Drops an instance that has grown so large that a new one in its place is worth its cost. Returns whether it did: the
    /// machine must then open another.
    pub fn drop_overgrown(&mut self) -> bool {
        let overgrown = self.instance.as_ref().is_some_and(Held::is_overgrown);
        if overgrown {
            tracing::debug!(room = %self.room, "an instance has grown large; another takes its place");
            self.instance = None;
        }
        overgrown
    }

    /// The report of the last call.
    pub fn take_report(&mut self) -> Report {
        std::mem::take(&mut self.report)
    }

    /// Carries out one call.
    ///
    /// # Errors
    /// When this process could not run the guest, and [`Resources::retry`] has given up.
    pub async fn run(&mut self, call: Call) -> Result<Outcome, Unavailable> {
        self.report = Report::default();
        let result = match call {
            Call::Open { component, info, saved, repeats } => {
                self.open(component, &info, saved.as_ref(), repeats).await.map(Outcome::Opened)
            }
            Call::Handle(entry) => self.handle(&entry).await.map(Outcome::Called),
            Call::HandleAll(entries) => self.handle_all(&entries).await.map(Outcome::CalledAll),
            Call::Save => self.save().await.map(Outcome::Saved),
            Call::Swap { component, info, repeats } => self.swap(component, &info, repeats).await,
        };
        if result.is_err() {
            self.instance = None;
        }
        self.count_busy();
        result
    }

    fn count_busy(&mut self) {
        self.report.busy += self.instance.as_mut().map_or(Duration::ZERO, Held::take_busy);
    }

    /// The old instance is dropped first: there may be no slot for two.
    async fn open(
        &mut self,
        component: Digest,
        info: &RoomInfo,
        saved: Option<&SavedState>,
        repeats: bool,
    ) -> Result<Result<Arc<ComponentSpec>, Fault>, Unavailable> {
        self.instance = None;
        let component = self.load_to_open(component).await?;
        let opened = self.start_in_time(Opening { component: &component, info, saved, repeats }).await?;
        Ok(opened.map_err(Failed::fault).map(|(instance, effects)| {
            self.instance = Some(instance);
            self.report.restore_effects = effects;
            component.spec()
        }))
    }

    async fn handle(&mut self, entry: &Entry) -> Result<Result<Vec<Effect>, Fault>, Unavailable> {
        let called = self.held()?.handle(entry).await;
        self.report.fuel = Some(called.as_ref().map_or(0, |called| called.fuel));
        self.settle(called.map(|called| called.effects), entry.repeats)
    }

    /// In one call, or in one for each record if the component has to be called so.
    async fn handle_all(&mut self, entries: &[Entry]) -> Result<Vec<Result<Vec<Effect>, Fault>>, Unavailable> {
        let results = match self.held()?.component().takes_several() {
            true => self.handle_together(entries).await?,
            false => self.handle_each(entries).await?,
        };
        if results.last().is_some_and(Result::is_err) {
            self.report.failed_at = Some(entries[results.len() - 1].offset);
        }
        Ok(results)
    }

    async fn handle_together(&mut self, entries: &[Entry]) -> Result<Vec<Result<Vec<Effect>, Fault>>, Unavailable> {
        match self.held()?.handle_all(entries).await {
            Ok(BatchOutput { results, fuel }) => {
                let done = results.iter().zip(&fuel).filter(|(result, _)| result.is_ok());
                self.report.fuel = Some(done.map(|(_, fuel)| fuel).sum());
                self.report.shares = fuel;
                if results.last().is_some_and(Result::is_err) {
                    self.drop_held();
                }
                Ok(results)
            }
            // One of the records alone fails again, or none does.
            Err(error) => {
                self.report.fuel = Some(0);
                self.drop_failed(&error);
                self.report.failed_log = None;
                failed(error, false).map(|_| Vec::new())
            }
        }
    }

    async fn handle_each(&mut self, entries: &[Entry]) -> Result<Vec<Result<Vec<Effect>, Fault>>, Unavailable> {
        let (mut results, mut fuel, mut shares) = (Vec::with_capacity(entries.len()), 0, Vec::new());
        for entry in entries {
            let before = self.report.busy;
            let result = self.handle(entry).await?;
            self.count_busy();
            shares.push(u64::try_from((self.report.busy - before).as_nanos()).unwrap_or(u64::MAX));
            fuel += self.report.fuel.unwrap_or(0);
            let has_failed = result.is_err();
            results.push(result);
            if has_failed {
                break;
            }
        }
        (self.report.fuel, self.report.shares) = (Some(fuel), shares);
        Ok(results)
    }

    async fn save(&mut self) -> Result<Result<SavedState, Fault>, Unavailable> {
        let saved = self.held()?.save().await;
        self.settle(saved, true)
    }

    /// A refusal here is a refusal on every host: a resource that only this process lacks is waited for.
    async fn swap(&mut self, component: Digest, info: &RoomInfo, repeats: bool) -> Result<Outcome, Unavailable> {
        let before = match self.save().await? {
            Ok(saved) => saved,
            Err(fault) => return Ok(Outcome::Saved(Err(fault))),
        };
        let component = match self.load(component).await? {
            Ok(component) => component,
            Err(reason) => return Ok(Outcome::Swapped(Err(reason.into()))),
        };
        match self.start(Opening { component: &component, info, saved: Some(&before), repeats }).await {
            Ok(Ok(opened)) => Ok(self.swapped(before, &component, opened)),
            Ok(Err(Failed::Always(fault))) => Ok(Outcome::Swapped(Err(fault.to_string().into()))),
            Ok(Err(Failed::ByTheClock(fault))) => Ok(Outcome::Called(Err(fault))),
            Err(_) => self.swap_in_its_place(&component, info, before, repeats).await,
        }
    }

    /// There is no slot for two instances: the old one is dropped first, and opened again if the new one fails to open.
    async fn swap_in_its_place(
        &mut self,
        component: &Component,
        info: &RoomInfo,
        before: SavedState,
        repeats: bool,
    ) -> Result<Outcome, Unavailable> {
        let old = self.instance.take().ok_or(Unavailable::NoInstance)?.component().digest();
        let opening = Opening { component, info, saved: Some(&before), repeats };
        let fault = match self.start_in_time(opening).await? {
            Ok(opened) => return Ok(self.swapped(before, component, opened)),
            Err(Failed::Always(fault)) => fault,
            Err(Failed::ByTheClock(fault)) => return Ok(Outcome::Called(Err(fault))),
        };
        self.report.reopened = true;
        let info = RoomInfo { restored: Some(RestoreReason::Recovered), ..info.clone() };
        Ok(match self.open(old, &info, Some(&before), true).await? {
            Ok(_) => Outcome::Swapped(Err(fault.to_string().into())),
            Err(fault) => Outcome::Saved(Err(fault)),
        })
    }

    fn swapped(&mut self, before: SavedState, component: &Component, (instance, effects): Opened) -> Outcome {
        self.instance = Some(instance);
        Outcome::Swapped(Ok(SwappedTo { before, spec: component.spec(), effects }))
    }

    fn held(&mut self) -> Result<&mut Held, Unavailable> {
        self.instance.as_mut().ok_or(Unavailable::NoInstance)
    }

    /// After a call of the held instance, which is dropped if the call failed.
    fn settle<T>(&mut self, result: Result<T, GuestError>, repeats: bool) -> Result<Result<T, Fault>, Unavailable> {
        let error = match result {
            Ok(value) => return Ok(Ok(value)),
            Err(error) => error,
        };
        self.drop_failed(&error);
        failed(error, repeats).map(|failed| Err(failed.fault()))
    }

    fn drop_failed(&mut self, error: &GuestError) {
        if let (Some(held), GuestError::InCell) = (&self.instance, error) {
            self.be_alone_with(held.component().digest());
        }
        self.drop_held();
    }

    fn drop_held(&mut self) {
        if let Some(mut failed) = self.instance.take() {
            self.report.busy += failed.take_busy();
            self.report.failed_log = Some(failed.take_failed_log());
        }
    }

    /// The component, however long it takes: a room is not given up because this process cannot load its component.
    async fn load_to_open(&mut self, component: Digest) -> Result<Component, Unavailable> {
        loop {
            match self.load(component).await? {
                Ok(loaded) => return Ok(loaded),
                Err(reason) => {
                    let cause = CannotLoad::Unusable(reason);
                    self.retry(Unavailable::Component { component, cause }).await?;
                }
            }
        }
    }

    /// The component, as soon as this process can load it; a reason if no process ever can.
    async fn load(&mut self, component: Digest) -> Result<Result<Component, String>, Unavailable> {
        loop {
            match self.resources.load(component).await {
                Ok(loaded) => return Ok(Ok(loaded)),
                Err(CannotLoad::Unusable(reason)) => return Ok(Err(reason)),
                Err(cause) => self.retry(Unavailable::Component { component, cause }).await?,
            }
        }
    }

    /// An opened instance, as soon as this process has the resources.
    async fn start_in_time(&mut self, opening: Opening<'_>) -> Result<Result<Opened, Failed>, Unavailable> {
        loop {
            match self.start(opening).await {
                Ok(opened) => return Ok(opened),
                Err(cause) => self.retry(cause).await?,
            }
        }
    }

    async fn start(&mut self, opening: Opening<'_>) -> Result<Result<Opened, Failed>, Unavailable> {
        let opened = loop {
            if !self.shares(opening.component) {
                break open_own(opening).await;
            }
            match open_shared(opening).await {
                Err(NotOpened::Guest(GuestError::InCell)) => self.be_alone_with(opening.component.digest()),
                Err(NotOpened::Guest(GuestError::OfCell)) => {}
                opened => break opened,
            }
        };
        match opened {
            Ok(opened) => Ok(Ok(opened)),
            Err(NotOpened::Instance(InstantiateError::Full(most))) => {
                Err(Unavailable::Resource(InstantiateError::Full(most).to_string().into()))
            }
            Err(NotOpened::Instance(InstantiateError::Start(error)) | NotOpened::Guest(error)) => {
                failed(error, opening.repeats).map(Err)
            }
        }
    }

    fn shares(&self, component: &Component) -> bool {
        component.manifest().config.share > 1
            && self.resources.shares_instances()
            && self.alone_with != Some(component.digest())
    }

    fn be_alone_with(&mut self, component: Digest) {
        tracing::debug!(room = %self.room, "the room has ended an instance that it shared; it gets its own");
        self.alone_with = Some(component);
    }

    async fn retry(&mut self, cause: Unavailable) -> Result<(), Unavailable> {
        if self.resources.retry(self.room, &cause).await { Ok(()) } else { Err(cause) }
    }
}

async fn open_own(Opening { component, info, saved, repeats }: Opening<'_>) -> Result<Opened, NotOpened> {
    let mut instance = Box::new(component.instantiate(info.id, &info.context).await?);
    let CallOutput { effects, .. } = instance.open(info, saved, repeats).await?;
    Ok((Held::Own(instance), effects))
}

async fn open_shared(Opening { component, info, saved, repeats }: Opening<'_>) -> Result<Opened, NotOpened> {
    let mut seat = component.seat();
    let CallOutput { effects, .. } = seat.open(info, saved, repeats).await?;
    Ok((Held::Shared(seat), effects))
}

/// The guest's failure.
enum Failed {
    /// Every host finds it.
    Always(Fault),
    /// Another host, or a later try, may not find it.
    ByTheClock(Fault),
}

impl Failed {
    fn fault(self) -> Fault {
        match self {
            Failed::Always(fault) | Failed::ByTheClock(fault) => fault,
        }
    }
}

/// The guest's failure. An error if the guest did not cause it, or if only a clock does and the call `repeats`.
fn failed(error: GuestError, repeats: bool) -> Result<Failed, Unavailable> {
    match error {
        GuestError::Fault(fault) => Ok(Failed::Always(fault)),
        GuestError::Refused(text) => Ok(Failed::Always(Fault::Threw(text))),
        GuestError::OutOfTime(_) if repeats => Err(Unavailable::Resource(error.to_string().into())),
        GuestError::OutOfTime(ms) => {
            Ok(Failed::ByTheClock(Fault::TooMuch(format!("more than {ms} ms of computation in one record").into())))
        }
        GuestError::Host(reason) => Err(Unavailable::Resource(reason)),
        GuestError::Poisoned => Err(Unavailable::NoInstance),
        GuestError::InCell | GuestError::OfCell => Err(Unavailable::Cell),
    }
}
