//! A room's life: one task that hands records to `core::room`, carries out its outputs, and hibernates the room when it
//! is idle.
//!
//! ```text
//! loop { carry out the outputs · hibernate if idle and stored · wait for the mailbox or the clock }
//! ```
//! Cancellation: the task is never cancelled from outside, and dropping what it waits for (`Mailbox::notified`, a sleep)
//! loses nothing. A guest call is never raced against anything: it ends by its fuel.

use std::{sync::Arc, time::Duration};

use chorus_bus::AppendError;
use chorus_core::{
    command::{Answer, EdgeCommand, OutputRef, Record, RoomCommand},
    effect::{Effect, LogLevel, RestoreReason},
    ids::{Digest, Kind, MachineId, Offset, OutputId, RoomId, Secret, SessionId, Time},
    json::Json,
    planted::{Bug, planted},
    room::{Account, Call, Input, Notice, Output, Room, RoomClock, TimerDue},
};
use chorus_store::{RoomRow, RoomStatus, RoomUpdate, Snapshot};
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    HostError, HostEvent, Shared, What,
    guest::{Report, Runner, Unavailable},
    kicks,
    mailbox::{Batch, Mailbox},
    meter::Meter,
    outbox::{MOST_HELD, Mark, Outbox},
    resources::RESOURCE_RETRY,
    saver::Job,
};

/// How soon an overdue snapshot or hibernation is tried again when no record arrives.
const OVERDUE_RETRY: Duration = Duration::from_millis(100);

/// Runs until the room hibernates or is given up, or until the log fails, which stops the whole host and is logged.
pub async fn run(host: Arc<Shared>, id: RoomId, mailbox: Arc<Mailbox>, why: RestoreReason) {
    let mut task = RoomTask::begin(host, id, mailbox, why).await;
    while let Err(error) = task.run().await {
        let HostError::Append(AppendError::NoSpace { .. }) = error else {
            tracing::error!(room = %id, %error, "a room cannot go on on this host");
            return;
        };
        tracing::error!(room = %id, %error, "a room begins again at its snapshot: what it asked for since is lost");
        tokio::time::sleep(RESOURCE_RETRY).await;
        task.begin_again().await;
    }
}

/// The room as it stands in the store. Retries until the store answers.
async fn find(host: &Shared, id: RoomId, why: RestoreReason) -> Room {
    loop {
        match try_find(host, id, why).await {
            Ok(room) => return room,
            Err(error) => {
                tracing::warn!(room = %id, %error, "a room cannot be woken; trying again");
                tokio::time::sleep(RESOURCE_RETRY).await;
            }
        }
    }
}

async fn try_find(host: &Shared, id: RoomId, why: RestoreReason) -> anyhow::Result<Room> {
    if let Some(snapshot) = host.store.snapshot(id).await? {
        return Ok(Room::restore(id, &snapshot.state, why)?);
    }
    let ended = host.store.room(id).await?.is_some_and(|row| row.status != RoomStatus::Live);
    Ok(if ended { Room::ended(id) } else { Room::new(id) })
}

struct RoomTask {
    host: Arc<Shared>,
    id: RoomId,
    partition: u32,
    mailbox: Arc<Mailbox>,
    room: Room,
    runner: Runner<Arc<Shared>>,
    outbox: Outbox,
    meter: Meter,
    /// Rooms that this room has created and whose `Create` may not be in the log yet.
    made: Vec<(RoomId, Mark)>,
    /// The time of the oldest record whose outputs have not all left.
    oldest_input: Option<Time>,
    /// The last record that the machine was given.
    seen: Option<Offset>,
    /// The offset of the last snapshot or end that was given to the saver.
    saving: Option<Offset>,
    /// When its timers fire, by this host's clock.
    clock: RoomClock,
    /// The timer whose record is in flight.
    timer_appended: Option<OutputId>,
    /// Kicks that may not be done yet.
    kicks: Vec<JoinHandle<()>>,
    row: Option<RowFacts>,
    idle_since: Instant,
    unsaved_since: Option<Instant>,
    /// When the clock was last checked, if no record has arrived since.
    last_tick: Option<Instant>,
    /// The record whose call failed last on this host, and the log of that call.
    last_words: Option<(Offset, Vec<Effect>)>,
}

/// The fields of the room's row in the store that are needed even when the machine has dropped its state.
struct RowFacts {
    kind: Kind,
    component: Digest,
    creator: Option<RoomId>,
    created: Time,
}

impl RoomTask {
    async fn begin(host: Arc<Shared>, id: RoomId, mailbox: Arc<Mailbox>, why: RestoreReason) -> RoomTask {
        let mut room = find(&host, id, why).await;
        let partition = host.partition_of(id);
        host.partitions.inherited(partition).into_iter().for_each(|offset| room.handle(Input::Inherited(offset)));
        let kept = host.alarms.take_clock(id);
        let mut clock = kept.unwrap_or_else(|| RoomClock::new(host.partitions.taken(partition)));
        // Timers that the room has now count from its partition's takeover, later ones from when they are set.
        room.state().and_then(|state| clock.next_timer(state, host.now()));
        RoomTask {
            clock,
            partition,
            runner: Runner::new(host.clone(), id),
            host,
            id,
            mailbox,
            row: RowFacts::of(&room),
            room,
            outbox: Outbox::default(),
            meter: Meter::default(),
            made: Vec::new(),
            oldest_input: None,
            seen: None,
            saving: None,
            timer_appended: None,
            kicks: Vec::new(),
            idle_since: Instant::now(),
            unsaved_since: None,
            last_tick: None,
            last_words: None,
        }
    }

    /// *New instance ← snapshot ← tail*, since an output is lost: nothing after it may count, or leave.
    async fn begin_again(&mut self) {
        // Before the snapshot is read: a later snapshot may contain more records, and those are then ignored.
        self.mailbox.reset();
        let (clock, applied) = (self.clock.clone(), self.seen);
        let begun = RoomTask::begin(self.host.clone(), self.id, self.mailbox.clone(), RestoreReason::Recovered).await;
        *self = RoomTask { clock, ..begun };
        applied.into_iter().for_each(|offset| self.room.handle(Input::Inherited(offset)));
    }

    async fn run(&mut self) -> Result<(), HostError> {
        let clock = tokio::time::sleep_until(Instant::now());
        tokio::pin!(clock);
        loop {
            self.carry_out().await?;
            self.oldest_input.take().into_iter().for_each(|time| self.host.metrics.caused(time, self.host.now()));
            if self.drain_mailbox().await? {
                continue;
            }
            if let Some(offset) = self.mailbox.take_diverged() {
                self.close_diverged(offset).await?;
            }
            if self.mailbox.is_given_up() || (self.may_hibernate() && self.hibernate()) {
                return Ok(());
            }
            // Each message usually postpones this deadline: an occasional early ring costs less than a reset for each
            // message.
            let wake = self.next_tick();
            if clock.is_elapsed() || wake < clock.deadline() {
                clock.as_mut().reset(wake);
            }
            tokio::select! {
                () = self.mailbox.notified() => {}
                freed = self.outbox.freeing(), if self.outbox.held() > 0 => freed?,
                () = &mut clock => if wake <= Instant::now() { self.tick().await? },
            }
        }
    }

    /// Hands over the waiting records, all of them before any output is carried out, so that a `Fault` takes effect in
    /// time.
    async fn drain_mailbox(&mut self) -> Result<bool, HostError> {
        match self.mailbox.take() {
            None => return Ok(false),
            Some(Batch::Records(records)) => {
                for (offset, record) in records {
                    self.apply(offset, record);
                }
            }
            Some(Batch::ReadFrom(offset)) => self.catch_up(offset).await?,
        }
        self.idle_since = Instant::now();
        self.unsaved_since.get_or_insert(self.idle_since);
        self.last_tick = None;
        Ok(true)
    }

    fn apply(&mut self, offset: Offset, record: Record) {
        if let RoomCommand::Create { kind, component, creator, .. } = &record.command
            && self.row.is_none()
        {
            self.row = Some(RowFacts::of_new(kind, *component, *creator, record.time));
        }
        self.seen = Some(offset);
        self.oldest_input.get_or_insert(record.time);
        let begun = std::time::Instant::now();
        self.room.handle(Input::Record(offset, record));
        self.charge(self.room.account().cloned(), begun.elapsed());
    }

    /// Reads from the log the records that did not fit in the mailbox. Records that arrive meanwhile go to the mailbox,
    /// so the machine may see some of them twice.
    async fn catch_up(&mut self, from: Offset) -> Result<(), HostError> {
        let end = self.host.bus.end(self.partition).await?;
        let mut reader = self.host.bus.read(self.partition, from);
        let mut batch: Vec<(Offset, Record)> = Vec::new();
        let mut at = from;
        while at < end {
            reader.next(&mut batch).await?;
            for (offset, record) in batch.drain(..) {
                at = offset + 1;
                if record.room == self.id {
                    self.apply(offset, record);
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
                Output::Append(room, command) => drop(self.append(room, command).await?),
                Output::Create { id, kind, options, source, secret, allowance } => {
                    self.create(id, kind, options, source, secret, allowance).await?
                }
                Output::Edge(edge, command) => self.send(edge, command).await?,
                Output::Kick { session, reason } => self.kick(session, reason),
                Output::Snapshot { offset, bytes } => self.save(offset, bytes).await?,
                Output::Ended { outcome, failed } => self.ended(outcome, failed).await?,
                Output::Log { level, text } => self.tell(What::Log(level, text.into())),
                Output::Notice(notice) => self.notice(notice).await?,
            }
        }
        self.outbox.check()?;
        self.let_go();
        Ok(())
    }

    async fn append(&mut self, room: RoomId, command: RoomCommand) -> Result<Mark, HostError> {
        self.append_at(self.host.now(), room, command).await
    }

    async fn append_at(&mut self, time: Time, room: RoomId, command: RoomCommand) -> Result<Mark, HostError> {
        self.outbox.check()?;
        let append = self.host.append_at(time, room, command).await?;
        Ok(self.outbox.put(self.host.partition_of(room), append))
    }

    /// A member is sent to a room that this one has created only when that room's `Create` is in the log: otherwise the
    /// edge would find no such room, and the room would wait for its players in vain.
    async fn send(&mut self, edge: MachineId, command: EdgeCommand) -> Result<(), HostError> {
        let made = match &command {
            EdgeCommand::Move { room, .. } => self.made.iter().find(|(made, _)| made == room).map(|(_, mark)| *mark),
            _ => None,
        };
        let until = made.filter(|mark| !self.outbox.has(*mark));
        if until.is_none() && self.outbox.held() == 0 {
            self.send_now(edge, command);
            return Ok(());
        }
        self.hold_at_most(MOST_HELD - 1).await?;
        self.outbox.hold(edge, command, until);
        Ok(())
    }

    /// Sends the commands that need not be held any longer.
    fn let_go(&mut self) {
        self.made.retain(|(_, mark)| !self.outbox.has(*mark));
        while let Some((edge, command)) = self.outbox.freed() {
            self.send_now(edge, command);
        }
    }

    async fn hold_at_most(&mut self, count: usize) -> Result<(), HostError> {
        while self.outbox.held() > count {
            self.outbox.freeing().await?;
            self.let_go();
        }
        Ok(())
    }

    fn send_now(&mut self, edge: MachineId, command: EdgeCommand) {
        if let EdgeCommand::Deliver { targets, .. } = &command {
            self.host.metrics.deliveries.inc_by(targets.len() as u64);
        }
        let sent = self.host.bus.send_edge(&edge, command);
        self.outbox.put_sent(edge, sent);
    }

    async fn create(
        &mut self,
        room: RoomId,
        kind: Kind,
        options: Json,
        creator: OutputRef,
        secret: Secret,
        allowance: u32,
    ) -> Result<(), HostError> {
        if self.host.catalogue.active(&kind).is_none() {
            // The kind may have been published a moment ago.
            if let Err(error) = self.host.refresh_kinds().await {
                tracing::warn!(%kind, %error, "a kind cannot be looked up");
            }
        }
        match self.host.catalogue.active(&kind) {
            Some(component) => {
                let creator = Some(creator);
                let create = RoomCommand::Create { kind, component, options, creator, secret, allowance };
                let mark = self.append(room, create).await?;
                self.made.push((room, mark));
                Ok(())
            }
            None => {
                let reason = format!("there is no kind {kind}").into();
                let answer = Answer::CreateFailed { room, reason };
                self.append(self.id, RoomCommand::Answer { request: creator.number, answer }).await.map(drop)
            }
        }
    }

    fn kick(&mut self, session: SessionId, reason: Box<str>) {
        self.kicks.retain(|kick| !kick.is_finished());
        self.kicks.push(kicks::start(self.host.clone(), self.id, session, reason));
    }

    // The guest.

    async fn call(&mut self, call: Call) {
        let (account, machine) = (self.room.account_for(&call).cloned(), self.room.account().cloned());
        if let Call::Open { info, .. } = &call
            && let Some(why) = info.restored
        {
            self.host.metrics.restored(why);
        }
        let outcome = self.runner.run(call).await;
        let fuel = self.report(account);
        match outcome {
            Ok(outcome) => {
                let begun = std::time::Instant::now();
                self.room.handle(Input::Guest { outcome, fuel });
                self.charge(machine, begun.elapsed());
            }
            Err(cause) => {
                if let Unavailable::Resource(reason) = &cause {
                    tracing::warn!(room = %self.id, reason, "this host could not run a guest; trying again");
                }
                tokio::time::sleep(RESOURCE_RETRY).await;
                self.room.handle(Input::InstanceLost);
            }
        }
    }

    /// What the call cost and logged, before its outcome. Returns the fuel that it has burnt.
    fn report(&mut self, account: Option<Account>) -> u64 {
        let Report { fuel, busy, failed_log, restore_effects, reopened } = self.runner.take_report();
        if let Some(log) = failed_log {
            self.last_words = self.room.in_hand().map(|offset| (offset, log));
        }
        if reopened {
            self.host.metrics.restored(RestoreReason::Recovered);
        }
        self.tell_logs(restore_effects);
        self.charge(account, busy);
        fuel.unwrap_or(0)
    }

    /// Best effort, and nothing waits for it: the edge slows sessions that cost too much, and can do without one report.
    fn charge(&mut self, account: Option<Account>, spent: Duration) {
        let Some(account) = account else { return };
        if let Some(micros) = self.meter.add(&account, spent) {
            let Account { session, connection, edge, .. } = account;
            drop(self.host.bus.send_edge(&edge, EdgeCommand::Spent { session, connection, micros }));
        }
    }

    // The store.

    async fn save(&mut self, offset: Offset, bytes: Arc<[u8]>) -> Result<(), HostError> {
        self.unsaved_since = None;
        self.row = RowFacts::of(&self.room).or(self.row.take());
        let row = self.row(offset, None);
        let snapshot = Snapshot { offset, component: row.component, state: bytes::Bytes::from_owner(bytes) };
        self.hand_over(RoomUpdate { row, snapshot: Some(snapshot) }).await?;
        if self.runner.drop_overgrown() {
            self.room.handle(Input::InstanceLost);
        }
        Ok(())
    }

    async fn ended(&mut self, outcome: Json, failed: Option<Box<str>>) -> Result<(), HostError> {
        self.runner.drop_instance();
        self.unsaved_since = None;
        let component = self.row.as_ref().map(|row| row.component);
        let told = match (&failed, component) {
            (Some(reason), Some(component)) => Some(readable(&self.host, component, reason).await.into()),
            (reason, _) => reason.clone().map(Arc::from),
        };
        self.tell(What::Ended { failed: told });
        // The room's state no longer holds these kicks.
        for kick in std::mem::take(&mut self.kicks) {
            kick.await.unwrap_or_else(|error| tracing::error!(room = %self.id, %error, "a kick has failed"));
        }
        let offset = self.seen.expect("a record has ended it");
        let status = if failed.is_some() { RoomStatus::Failed } else { RoomStatus::Ended };
        let outcome = failed.map_or(outcome, |reason| Json::of(&reason));
        let row = self.row(offset, Some((status, outcome)));
        self.hand_over(RoomUpdate { row, snapshot: None }).await
    }

    /// The same records have led to two states, and nothing shows which of them is right. Members may see either, so the
    /// room cannot be trusted. A `Close` in its channel ends it on every host. To go on would mean a state that depends
    /// on the host, and a log that can never be truncated.
    async fn close_diverged(&mut self, offset: Offset) -> Result<(), HostError> {
        self.host.metrics.divergences.inc();
        tracing::error!(room = %self.id, offset, "the store has another state of this room at this offset; the room ends");
        let reason = format!("its state after the record at {offset} came out in two ways").into();
        self.append(self.id, RoomCommand::Close { reason }).await.map(drop)
    }

    /// Puts a new room into lists before its first snapshot is stored. Nothing waits for this row, and no host restores
    /// from it.
    fn list(&self) {
        if let Some(state) = self.room.state() {
            // The row has no timer: until the room has a snapshot, the log restores it.
            let row = RoomRow { next_timer_at: None, ..self.row(state.offset, None) };
            self.host.saver.list(row);
        }
    }

    /// Waits until the log has all that the records up to here caused: a host that restores the room from the stored
    /// snapshot does not cause it again.
    async fn hand_over(&mut self, update: RoomUpdate) -> Result<(), HostError> {
        self.hold_at_most(0).await?;
        self.outbox.confirmed().await?;
        self.saving = Some(update.row.offset);
        self.host.metrics.snapshots.inc();
        self.host.saver.save(Job { update, mailbox: self.mailbox.clone() }).await;
        Ok(())
    }

    fn row(&self, offset: Offset, ended: Option<(RoomStatus, Json)>) -> RoomRow {
        let facts = self.row.as_ref().expect("what is stored was restored, or created by a record");
        let state = self.room.state();
        let (status, outcome) = ended.map_or((RoomStatus::Live, None), |(status, outcome)| (status, Some(outcome)));
        RoomRow {
            id: self.id,
            offset,
            kind: facts.kind.clone(),
            component: facts.component,
            status,
            creator: facts.creator,
            created_at: facts.created,
            ended_at: (status != RoomStatus::Live).then(|| self.host.now()),
            outcome,
            // A kick that is not done yet counts as a timer: the host that restores the room repeats the kick.
            next_timer_at: state.and_then(|state| match state.kicks.is_empty() {
                true => state.next_timer().map(|(due, _)| due),
                false => Some(state.clock),
            }),
            clock: state.map_or(Time(0), |state| state.clock),
            metadata: state.and_then(|state| state.metadata.clone()),
            members: state.map_or(0, |state| state.members.len() as u32),
        }
    }

    // The clock.

    fn next_tick(&mut self) -> Instant {
        let rest = self.idle_since + self.rest_after();
        let snapshot = self.unsaved_since.map(|since| since + self.host.options.snapshot_after);
        let due = snapshot.map_or(rest, |snapshot| snapshot.min(rest));
        let due = self.last_tick.map_or(due, |last| due.max(last + OVERDUE_RETRY));
        let now = self.host.now();
        let ring = self.ring(now).filter(|ring| self.timer_appended != Some(ring.id));
        let timer = ring.map(|ring| Instant::now() + Duration::from_millis(ring.at.since(now)));
        timer.map_or(due, |timer| timer.min(due))
    }

    fn ring(&mut self, now: Time) -> Option<TimerDue> {
        self.room.state().and_then(|state| self.clock.next_timer(state, now))
    }

    async fn tick(&mut self) -> Result<(), HostError> {
        let now = self.host.now();
        if let Some(ring) = self.ring(now)
            && ring.at <= now
            && self.timer_appended != Some(ring.id)
        {
            let (id, time) = (ring.id, ring.stamp(now));
            self.timer_appended = Some(id);
            match planted(Bug::TimerOutsideTheLog) {
                false => {
                    let name = self.room.timer_name(id);
                    self.append_at(time, self.id, RoomCommand::Timer { id, name }).await.map(drop)?
                }
                true => {
                    let record = Record { room: self.id, time, command: RoomCommand::Timer { id, name: None } };
                    self.apply(self.seen.map_or(0, |seen| seen + 1), record);
                }
            }
            self.idle_since = Instant::now();
        }
        let late = self.unsaved_since.is_some_and(|since| since.elapsed() >= self.host.options.snapshot_after);
        if late || self.idle_since.elapsed() >= self.rest_after() {
            self.room.handle(Input::TakeSnapshot);
        }
        self.last_tick = Some(Instant::now());
        Ok(())
    }

    fn rest_after(&self) -> Duration {
        self.host.rest_after(self.room.state().is_none())
    }

    fn may_hibernate(&mut self) -> bool {
        if self.is_stored() {
            self.unsaved_since = None;
            self.seen.into_iter().for_each(|seen| self.mailbox.mark_unneeded(seen));
        }
        let draining = self.host.partitions.is_leaving(self.partition);
        if draining && !self.room.is_saved() {
            self.room.handle(Input::TakeSnapshot);
        }
        (draining || self.idle_since.elapsed() >= self.rest_after()) && self.room.is_saved()
    }

    /// Whether the store has all that must be kept of this room's records. For a room that never existed, and for records
    /// that its snapshot already contains, that is nothing.
    fn is_stored(&self) -> bool {
        let arrived = self.saving.is_none_or(|offset| self.mailbox.stored_up_to() >= Some(offset));
        arrived && self.room.is_saved()
    }

    /// Hibernates the room, unless a record has arrived in the meantime.
    fn hibernate(&mut self) -> bool {
        let ring = self.ring(self.host.now());
        let mut rooms = self.host.rooms();
        if self.mailbox.is_given_up() {
            return true;
        }
        if !self.mailbox.is_settled() {
            return false;
        }
        rooms.remove(&self.id);
        if let Some(ring) = ring {
            self.host.alarms.set(self.id, ring.at);
            self.host.alarms.keep(self.id, self.clock.clone());
        }
        true
    }

    // Watchers.

    async fn notice(&mut self, mut notice: Notice) -> Result<(), HostError> {
        let room = self.id;
        if let Notice::SwapRefused { component, reason } = &mut notice {
            *reason = readable(&self.host, *component, reason).await.into();
        }
        match &notice {
            Notice::Created { kind, component } => {
                self.mailbox.set_kind(kind.clone());
                self.list();
                // The creator may have used a component that is no longer the active one.
                let active = self.host.catalogue.active(kind);
                if let Some(component) = active.filter(|active| active != component) {
                    self.append(room, RoomCommand::Swap { component, rollout: None }).await?;
                }
            }
            Notice::RestartScheduled { failed, in_ms } => {
                self.runner.drop_instance();
                match failed {
                    Some(reason) => tracing::warn!(%room, %reason, in_ms, "the lobby has failed, and restarts"),
                    None => tracing::info!(%room, in_ms, "the lobby has ended, and restarts"),
                }
            }
            Notice::Faulted { offset, handler, fault, charged: None } => {
                self.tell_failed(*offset, handler, &fault.to_string()).await;
                self.host.metrics.fault(fault, false);
                tracing::warn!(%room, offset, %handler, %fault, "a script failed");
            }
            Notice::Faulted { offset, handler, fault, charged: Some(session) } => {
                self.tell_failed(*offset, handler, &fault.to_string()).await;
                self.host.metrics.fault(fault, true);
                tracing::info!(%room, offset, %handler, %session, %fault, "a client's record cost more than one may");
            }
            Notice::SwapUndone { fault, .. } => {
                self.host.metrics.swap("undone");
                tracing::warn!(%room, %fault, "a swap was taken back");
            }
            Notice::SwapRefused { reason, .. } => {
                self.host.metrics.swap("refused");
                tracing::warn!(%room, %reason, "a swap was refused");
            }
            Notice::Threw { offset, handler, text } => {
                let at = self.tell_failed(*offset, handler, &format!("threw {text}")).await;
                self.host.metrics.throws.inc();
                // The text may contain a player's words; the place does not.
                tracing::info!(%room, offset, %handler, at, "a script threw");
            }
            Notice::Swapped { component } => {
                self.host.metrics.swap("done");
                tracing::debug!(%room, ?component, "swapped");
            }
        }
        self.tell(What::Notice(notice));
        Ok(())
    }

    /// Reports a failed call to the script's author: what the call had logged before, then the reason. Returns its place.
    async fn tell_failed(&mut self, offset: Offset, handler: &str, text: &str) -> Option<String> {
        let log = self.last_words.take_if(|(at, _)| *at == offset).map_or_else(Vec::new, |(_, log)| log);
        for effect in log {
            if let Effect::Log { level, text } = effect {
                self.tell(What::Log(level, format!("(before it failed) {text}").into()));
            }
        }
        let text = match &self.row {
            Some(row) => readable(&self.host, row.component, text).await,
            None => text.to_owned(),
        };
        let at = text.lines().find_map(|line| line.trim_start().strip_prefix("at ")).map(str::to_owned);
        self.tell(What::Failed { offset, handler: handler.into(), text: text.into() });
        at
    }

    fn tell_logs(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Log { level, text } => self.tell(What::Log(level, text.into())),
                // A guest's effects during its restore are not in the log, so they must not count.
                effect => {
                    let text = format!("asked for {effect:.60?} in onRestore, where nothing can be asked for");
                    self.tell(What::Log(LogLevel::Warn, text.into()));
                }
            }
        }
    }

    fn tell(&self, what: What) {
        let kind = self.row.as_ref().map(|row| row.kind.clone());
        // An error means that there are no watchers.
        let _ = self.host.events.send(HostEvent { room: self.id, kind, what });
    }
}

/// A component's text, with places in its author's files where the source map has them.
async fn readable(host: &Shared, component: Digest, text: &str) -> String {
    match host.catalogue.load(component).await {
        Ok(component) => component.source_map().readable(text).into_owned(),
        Err(_) => text.to_owned(),
    }
}

impl RowFacts {
    fn of_new(kind: &Kind, component: Digest, creator: Option<OutputRef>, created: Time) -> RowFacts {
        RowFacts { kind: kind.clone(), component, creator: creator.map(|creator| creator.room), created }
    }

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
