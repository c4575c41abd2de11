//! A room's life: one task that hands records to `core::room`, does what it says, and puts the room aside when it has
//! nothing to do.
//!
//! ```text
//! loop { carry out what the machine says · put it aside if it may be · wait for news or for the clock }
//! ```
//! Cancellation: the task is never cancelled from outside, and what it waits for (`Mailbox::news`, a sleep) takes
//! nothing when it is dropped. Guest calls are never raced against anything: they end by their fuel.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chorus_bus::Append;
use chorus_core::{
    command::{Answer, Fault, Record, RoomCommand},
    effect::{Effect, LogLevel, RestoreReason, RoomInfo, Saved},
    ids::{Digest, Kind, Number, Offset, RoomId, Time},
    json::Json,
    room::{Call, Notice, Outcome, Output, Room, State, SwappedTo},
};
use chorus_store::{RoomRow, RoomStatus, RoomUpdate, Snapshot};
use tokio::time::Instant;

use crate::{
    HostError, HostEvent, Shared, What,
    catalogue::Loaded,
    guest::{GuestError, Instance, InstantiateError},
    mailbox::{Mailbox, Post},
    now,
    saver::Job,
};

/// How long to wait when this host is out of something that a room needs.
const SHORT_OF: Duration = Duration::from_millis(100);

/// Lives until the room is put aside, or until the log fails: then the whole host stops, and says so.
pub async fn run(host: Arc<Shared>, id: RoomId, mailbox: Arc<Mailbox>) {
    let room = find(&host, id).await;
    let mut life = Life {
        host,
        id,
        mailbox,
        row: RowFacts::of(&room),
        room,
        instance: None,
        appends: BTreeMap::new(),
        rung: None,
        quiet_since: Instant::now(),
        unsaved_since: None,
    };
    if let Err(error) = life.live().await {
        tracing::error!(room = %id, %error, "a room cannot go on on this host");
    }
}

/// The room as the store has it. Waits for a store that is gone.
async fn find(host: &Shared, id: RoomId) -> Room {
    loop {
        match try_find(host, id).await {
            Ok(room) => return room,
            Err(error) => {
                tracing::warn!(room = %id, %error, "a room cannot be woken; trying again");
                tokio::time::sleep(SHORT_OF).await;
            }
        }
    }
}

async fn try_find(host: &Shared, id: RoomId) -> anyhow::Result<Room> {
    if let Some(snapshot) = host.store.snapshot(id).await? {
        let why = if *host.draining.borrow() { RestoreReason::Recovered } else { RestoreReason::Woken };
        return Ok(Room::restore(id, &snapshot.state, why)?);
    }
    let ended = host.store.room(id).await?.is_some_and(|row| row.status != RoomStatus::Live);
    Ok(if ended { Room::ended(id) } else { Room::new(id) })
}

struct Life {
    host: Arc<Shared>,
    id: RoomId,
    mailbox: Arc<Mailbox>,
    room: Room,
    instance: Option<Instance>,
    /// The last append to each partition: when these are confirmed, so is everything before.
    appends: BTreeMap<u32, Append>,
    /// The timer for which a record is on its way.
    rung: Option<Number>,
    row: Option<RowFacts>,
    quiet_since: Instant,
    unsaved_since: Option<Instant>,
}

/// What the store's row of a room needs when the machine has forgotten it.
struct RowFacts {
    kind: Kind,
    component: Digest,
    creator: Option<RoomId>,
    created: Time,
}

impl Life {
    async fn live(&mut self) -> Result<(), HostError> {
        loop {
            self.carry_out().await?;
            if self.has_post().await? {
                continue;
            }
            if self.may_rest() && self.put_aside() {
                return Ok(());
            }
            let wake = self.next_look();
            tokio::select! {
                () = self.mailbox.news() => {}
                () = tokio::time::sleep_until(wake) => self.look_at_the_clock().await?,
            }
        }
    }

    /// Hands over what waits. All of it before any of it is carried out, so that a `Fault` is known in time.
    async fn has_post(&mut self) -> Result<bool, HostError> {
        match self.mailbox.take() {
            None => return Ok(false),
            Some(Post::Records(records)) => {
                for (offset, record) in records {
                    self.room.record(offset, record);
                }
            }
            Some(Post::ReadFrom(offset)) => self.catch_up(offset).await?,
        }
        self.quiet_since = Instant::now();
        self.unsaved_since.get_or_insert(self.quiet_since);
        Ok(true)
    }

    /// Reads from the log what the mailbox had no place for. What comes meanwhile is in the mailbox, maybe twice.
    async fn catch_up(&mut self, from: Offset) -> Result<(), HostError> {
        let partition = self.id.partition(self.host.bus.partitions());
        let end = self.host.bus.end(partition);
        let mut reader = self.host.bus.read(partition, from);
        let mut batch: Vec<(Offset, Record)> = Vec::new();
        let mut at = from;
        while at < end {
            reader.next(&mut batch).await?;
            for (offset, record) in batch.drain(..) {
                at = offset + 1;
                if record.room == self.id {
                    self.room.record(offset, record);
                }
            }
            self.carry_out().await?;
        }
        Ok(())
    }

    async fn carry_out(&mut self) -> Result<(), HostError> {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Guest(call) => self.call(call).await,
                Output::Append(room, command) => self.append(room, command).await?,
                Output::Create { id, kind, options, source } => self.create(id, kind, options, source).await?,
                Output::Edge(edge, command) => self.host.bus.send_edge(&edge, command),
                Output::Snapshot { offset, bytes } => self.save(offset, bytes).await,
                Output::Ended { outcome, failed } => self.ended(outcome, failed).await,
                Output::Log { level, text } => self.tell(What::Log(level, text.into())),
                Output::Notice(notice) => self.notice(notice),
            }
        }
        Ok(())
    }

    async fn append(&mut self, room: RoomId, command: RoomCommand) -> Result<(), HostError> {
        let append = self.host.append(room, command).await?;
        self.appends.insert(room.partition(self.host.bus.partitions()), append);
        Ok(())
    }

    async fn create(
        &mut self,
        room: RoomId,
        kind: Kind,
        options: Json,
        creator: chorus_core::command::Source,
    ) -> Result<(), HostError> {
        match self.host.catalogue.active(&kind) {
            Some(component) => {
                let creator = Some(creator);
                self.append(room, RoomCommand::Create { kind, component, options, creator }).await
            }
            None => {
                let reason = format!("there is no kind {kind}").into();
                let answer = Answer::CreateFailed { room, reason };
                self.append(self.id, RoomCommand::Answer { request: creator.number, answer }).await
            }
        }
    }

    // The guest.

    async fn call(&mut self, call: Call) {
        let outcome = match call {
            Call::Open { component, info, saved } => Some(self.open(component, &info, saved.as_ref()).await),
            Call::Handle { at, event } => match &mut self.instance {
                Some(instance) => {
                    let called = instance.handle(&at, &event).await;
                    self.outcome(called.map(|called| called.effects)).map(Outcome::Called)
                }
                None => None,
            },
            Call::Save => match &mut self.instance {
                Some(instance) => {
                    let saved = instance.save().await;
                    self.outcome(saved).map(Outcome::Saved)
                }
                None => None,
            },
            Call::Swap { component, info } => self.swap(component, &info).await,
        };
        match outcome {
            Some(outcome) => self.room.guest(outcome),
            None => {
                self.instance = None;
                tokio::time::sleep(SHORT_OF).await;
                self.room.instance_lost();
            }
        }
    }

    /// `None`: it was not the guest's doing. Whatever failed, its instance is spent.
    fn outcome<T>(&mut self, result: Result<T, GuestError>) -> Option<Result<T, Fault>> {
        let error = match result {
            Ok(value) => return Some(Ok(value)),
            Err(error) => error,
        };
        self.instance = None;
        match error {
            GuestError::Fault(fault) => Some(Err(fault)),
            GuestError::Refused(text) => Some(Err(Fault::Threw(text))),
            GuestError::Poisoned => None,
            GuestError::Host(reason) => {
                tracing::warn!(room = %self.id, %reason, "this host could not run a guest; trying again");
                None
            }
        }
    }

    async fn open(&mut self, component: Digest, info: &RoomInfo, saved: Option<&Saved>) -> Outcome {
        // The old instance goes first: there may be no place for two.
        self.instance = None;
        loop {
            let loaded = self.load(component).await;
            let opened = open(&loaded, info, saved).await;
            match opened {
                Ok((instance, effects)) => {
                    self.instance = Some(instance);
                    self.tell_logs(effects);
                    return Outcome::Opened(Ok(loaded.spec));
                }
                Err(Unopened::Guest(error)) => {
                    if let Some(result) = self.outcome(Err(error)) {
                        return Outcome::Opened(result);
                    }
                }
                Err(Unopened::Full(limit)) => {
                    tracing::debug!(room = %self.id, limit, "all instances are in use; waiting for one");
                    self.host.make_room();
                }
            }
            tokio::time::sleep(SHORT_OF).await;
        }
    }

    /// The component, however long the store is gone.
    async fn load(&self, component: Digest) -> Loaded {
        loop {
            match self.host.catalogue.load(component).await {
                Ok(loaded) => return loaded,
                Err(reason) => {
                    tracing::warn!(room = %self.id, %component, reason, "a component cannot be loaded; trying again");
                    tokio::time::sleep(10 * SHORT_OF).await;
                }
            }
        }
    }

    async fn swap(&mut self, component: Digest, info: &RoomInfo) -> Option<Outcome> {
        let saved = self.instance.as_mut()?.save().await;
        let before = match self.outcome(saved)? {
            Ok(saved) => saved,
            Err(fault) => return Some(Outcome::Saved(Err(fault))),
        };
        let loaded = match self.host.catalogue.load(component).await {
            Ok(loaded) => loaded,
            Err(reason) => return Some(Outcome::Swapped(Err(reason.into()))),
        };
        Some(Outcome::Swapped(match open(&loaded, info, Some(&before)).await {
            Ok((instance, effects)) => {
                self.instance = Some(instance);
                Ok(SwappedTo { before, spec: loaded.spec, effects })
            }
            Err(Unopened::Guest(error)) => Err(error.to_string().into()),
            Err(Unopened::Full(limit)) => Err(format!("all {limit} instances of this host are in use").into()),
        }))
    }

    // The store.

    async fn save(&mut self, offset: Offset, bytes: Arc<[u8]>) {
        self.unsaved_since = None;
        self.row = RowFacts::of(&self.room).or(self.row.take());
        let Some(row) = self.row(offset, None) else { return };
        let snapshot = Snapshot { offset, component: row.component, state: bytes::Bytes::from_owner(bytes) };
        self.hand_over(RoomUpdate { row, snapshot: Some(snapshot) }).await;
    }

    async fn ended(&mut self, outcome: Json, failed: Option<Box<str>>) {
        self.instance = None;
        self.tell(What::Ended { failed: failed.clone().map(Arc::from) });
        let offset = self.mailbox.last().unwrap_or(0);
        let status = if failed.is_some() { RoomStatus::Failed } else { RoomStatus::Ended };
        let outcome = failed.map_or(outcome, |reason| Json::of(&reason));
        let Some(row) = self.row(offset, Some((status, outcome))) else { return };
        self.hand_over(RoomUpdate { row, snapshot: None }).await;
    }

    async fn hand_over(&mut self, update: RoomUpdate) {
        let after = std::mem::take(&mut self.appends).into_values().collect();
        self.host.saver.save(Job { update, after, mailbox: self.mailbox.clone() }).await;
    }

    fn row(&self, offset: Offset, ended: Option<(RoomStatus, Json)>) -> Option<RoomRow> {
        let facts = self.row.as_ref()?;
        let state = self.room.state();
        let (status, outcome) = ended.map_or((RoomStatus::Live, None), |(status, outcome)| (status, Some(outcome)));
        Some(RoomRow {
            id: self.id,
            offset,
            kind: facts.kind.clone(),
            component: facts.component,
            status,
            creator: facts.creator,
            created_at: facts.created,
            ended_at: (status != RoomStatus::Live).then(now),
            outcome,
            next_timer_at: state.and_then(State::next_timer).map(|(due, _)| due),
            metadata: state.and_then(|state| state.metadata.clone()),
            members: state.map_or(0, |state| state.members.len() as u32),
        })
    }

    // The clock.

    fn next_look(&self) -> Instant {
        let options = &self.host.options;
        let rest = self.quiet_since + self.rest_after();
        let snapshot = self.unsaved_since.map(|since| since + options.snapshot_after);
        let timer = self.room.poll_timeout().filter(|(_, id)| self.rung != Some(*id));
        let timer = timer.map(|(due, _)| Instant::now() + Duration::from_millis(due.since(now())));
        [Some(rest), snapshot, timer].into_iter().flatten().min().unwrap_or(rest)
    }

    async fn look_at_the_clock(&mut self) -> Result<(), HostError> {
        if let Some((due, id)) = self.room.poll_timeout()
            && due <= now()
            && self.rung != Some(id)
        {
            self.rung = Some(id);
            self.append(self.id, RoomCommand::Timer { id }).await?;
            self.quiet_since = Instant::now();
        }
        let late = self.unsaved_since.is_some_and(|since| since.elapsed() >= self.host.options.snapshot_after);
        if late || self.quiet_since.elapsed() >= self.rest_after() {
            self.room.snapshot();
            // A second look only when there is something new, or when it is time to rest again.
            self.quiet_since = self.quiet_since.max(Instant::now() - self.rest_after());
        }
        Ok(())
    }

    fn rest_after(&self) -> Duration {
        self.host.rest_after(self.room.has_ended() || self.room.state().is_none())
    }

    fn may_rest(&mut self) -> bool {
        if self.room.state().is_none()
            && self.room.is_idle()
            && !self.room.has_ended()
            && let Some(last) = self.mailbox.last()
        {
            // Of a room that never was there is nothing to store.
            self.mailbox.stored(last);
        }
        let draining = *self.host.draining.borrow();
        if draining && !self.room.is_saved() {
            self.room.snapshot();
        }
        (draining || self.quiet_since.elapsed() >= self.rest_after()) && self.room.is_saved()
    }

    /// Unless something has come in the meantime.
    fn put_aside(&mut self) -> bool {
        let mut rooms = self.host.rooms();
        if !self.mailbox.is_settled() {
            return false;
        }
        rooms.remove(&self.id);
        if let Some((due, _)) = self.room.poll_timeout() {
            self.host.alarms.set(self.id, due);
        }
        true
    }

    // Whoever watches.

    fn notice(&mut self, notice: Notice) {
        let room = self.id;
        match &notice {
            Notice::Created { kind, component } => {
                self.row = RowFacts::of(&self.room);
                self.mailbox.set_kind(kind.clone());
                // Its creator knew an older component than there is now.
                if let Some(active) = self.host.catalogue.active(kind)
                    && active != *component
                {
                    let swap = RoomCommand::Swap { component: active, rollout: None };
                    let record = Record { room, time: now(), command: swap };
                    drop(self.host.bus.append(&record));
                }
            }
            Notice::Faulted { offset, fault } => tracing::warn!(%room, offset, %fault, "a script failed"),
            Notice::SwapUndone { fault, .. } => tracing::warn!(%room, %fault, "a swap was taken back"),
            Notice::SwapRefused { reason, .. } => tracing::warn!(%room, %reason, "a swap was refused"),
            Notice::Threw { offset, .. } => tracing::info!(%room, offset, "a script threw"),
            Notice::Swapped { component } => tracing::debug!(%room, ?component, "swapped"),
        }
        self.tell(What::Notice(notice));
    }

    fn tell_logs(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Log { level, text } => self.tell(What::Log(level, text.into())),
                // What a guest asks for when it is restored is not in the log, so it must not count.
                effect => {
                    let text = format!("asked for {effect:.60?} in onRestore, where nothing can be asked for");
                    self.tell(What::Log(LogLevel::Warn, text.into()));
                }
            }
        }
    }

    fn tell(&self, what: What) {
        let kind = self.row.as_ref().map(|row| row.kind.clone());
        // Nobody watches: then nobody is told.
        let _ = self.host.events.send(HostEvent { room: self.id, kind, what });
    }
}

enum Unopened {
    Guest(GuestError),
    Full(u32),
}

async fn open(loaded: &Loaded, info: &RoomInfo, saved: Option<&Saved>) -> Result<(Instance, Vec<Effect>), Unopened> {
    let instance = loaded.component.instantiate(info.id, &info.at).await;
    let mut instance = instance.map_err(|error| match error {
        InstantiateError::Full(limit) => Unopened::Full(limit),
        InstantiateError::Start(error) => Unopened::Guest(error),
    })?;
    let opened = instance.open(info, saved).await.map_err(Unopened::Guest)?;
    Ok((instance, opened.effects))
}

impl RowFacts {
    fn of(room: &Room) -> Option<RowFacts> {
        let state = room.state()?;
        Some(RowFacts {
            kind: state.kind.clone(),
            component: state.component,
            creator: state.creator.map(|creator| creator.room),
            created: state.created,
        })
    }
}
