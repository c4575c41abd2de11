//! The task of one room: it hands records and reports to [`HostedRoom`], which decides, and carries out its outputs.
//!
//! ```text
//! loop { report what has changed · carry out the outputs · hand over the records · wait for one of these, or for the clock }
//! ```
//! Cancellation: the task is never cancelled from outside, and dropping what it waits for (`Mailbox::notified`,
//! `Outbox::confirmed`, a sleep) loses nothing. A guest call is never raced against anything: it ends by its fuel.
//!
//! A task takes the memory of its largest moment as long as its room is live, so calls of the guest and all that is rare are
//! boxed.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use chorus_bus::AppendError;
use chorus_core::{
    command::{EdgeCommand, Record, RoomCommand},
    effect::RestoreReason,
    hosting::{self, AppendId, Hibernation, HostedRoom, Input, Output, Save, Scarcity, Takeover},
    ids::{Kind, MachineId, Offset, RoomId, SessionId, Time},
    room::{self, Account, Call, Notice},
};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    HostError, Shared,
    guest::{Report, Runner, Unavailable, budget},
    mailbox::{Changes, Mailbox, Waiting},
    meter::Meter,
    outbox::Outbox,
    report,
    request::{self, Performed},
    resources::RESOURCE_RETRY,
    room_events::RoomEvents,
    saver::{self, Job},
    session_end::{self, SessionEnd},
    stored_room::{Retries, found, read},
};

/// A room rests when its guest has not been called for this long: see [`Runner::rest`]. That costs a few microseconds, at most
/// once in this time.
const REST_AFTER: Duration = Duration::from_secs(2);

mod inspect;

/// Runs until the room hibernates or is given up, or until the log fails, which stops the whole host and is logged.
pub async fn run(host: Arc<Shared>, id: RoomId, mailbox: Arc<Mailbox>, why: RestoreReason) {
    let mut task = Box::pin(RoomTask::open(host, id, mailbox, why)).await;
    while let Err(error) = task.run().await {
        let HostError::Append(AppendError::NoSpace { .. }) = error else {
            tracing::error!(room = %id, %error, "a room cannot go on on this host");
            return;
        };
        tracing::error!(room = %id, %error, "a room begins again at its snapshot: its outputs since then are lost");
        tokio::time::sleep(RESOURCE_RETRY).await;
        Box::pin(task.begin_again()).await;
    }
}

struct RoomTask {
    host: Arc<Shared>,
    id: RoomId,
    partition: u32,
    mailbox: Arc<Mailbox>,
    hosted: HostedRoom,
    runner: Runner<Arc<Shared>>,
    outbox: Outbox,
    /// Sessions that the room has kicked and that the store has not ended yet.
    session_ends: JoinSet<SessionEnd>,
    /// The room's requests that are performed.
    requests: JoinSet<Performed>,
    meter: Meter,
    events: RoomEvents,
    /// What the machine was last informed of.
    informed: Informed,
    /// The time of the oldest record whose outputs have not all left.
    oldest_input: Option<Time>,
    /// Whether the room has applied the records that it was restored for.
    restored: bool,
    /// When the room rests; `None` while it does.
    rests_at: Option<Instant>,
}

#[derive(Default)]
struct Informed {
    draining: bool,
    scarcity: Scarcity,
}

impl RoomTask {
    async fn open(host: Arc<Shared>, id: RoomId, mailbox: Arc<Mailbox>, why: RestoreReason) -> RoomTask {
        let partition = host.partition_of(id);
        let clock = host.alarms.take_clock(id);
        let mut retries = Retries::new();
        let hosted = loop {
            let stored = read(&host, id, &mut retries).await;
            let takeover =
                Takeover { at: host.partitions.taken(partition), inherited: host.partitions.inherited(partition) };
            let clock = clock.clone();
            let opened = HostedRoom::open(id, found(&stored), why, takeover, clock, host.room_options(), host.now());
            match opened {
                Ok(hosted) => break hosted,
                Err(error) => retries.wait(id, &error.into()).await,
            }
        };
        RoomTask {
            events: RoomEvents::new(host.clone(), id),
            runner: Runner::new(host.clone(), id),
            host,
            id,
            partition,
            mailbox,
            hosted,
            outbox: Outbox::default(),
            session_ends: JoinSet::new(),
            requests: JoinSet::new(),
            meter: Meter::default(),
            informed: Informed::default(),
            oldest_input: None,
            restored: false,
            rests_at: None,
        }
    }

    async fn begin_again(&mut self) {
        // Before the snapshot is read: a later snapshot may contain more records, and those are then ignored.
        self.mailbox.reset();
        self.runner.drop_instance();
        self.outbox = Outbox::default();
        self.session_ends = JoinSet::new();
        self.requests = JoinSet::new();
        let mut retries = Retries::new();
        loop {
            let stored = read(&self.host, self.id, &mut retries).await;
            let inherited = self.host.partitions.inherited(self.partition);
            match self.hosted.begin_again(found(&stored), inherited, self.host.now()) {
                Ok(()) => return,
                Err(error) => retries.wait(self.id, &error.into()).await,
            }
        }
    }

    async fn run(&mut self) -> Result<(), HostError> {
        let clock = tokio::time::sleep_until(Instant::now());
        tokio::pin!(clock);
        loop {
            let asked = self.report_changes();
            if self.carry_out().await?.is_break() || self.mailbox.is_given_up() {
                return Ok(());
            }
            if asked {
                if Box::pin(self.answer_questions()).await?.is_break() {
                    return Ok(());
                }
                continue;
            }
            if self.hosted.accepts_records() && self.hand_over_records().await? {
                continue;
            }
            self.report_restored();
            // Each message usually postpones this deadline: an occasional early tick costs less than a reset for each message.
            let tick = self.next_tick();
            let due = self.rests_at.map_or(tick, |rest| rest.min(tick));
            if clock.is_elapsed() || due < clock.deadline() {
                clock.as_mut().reset(due);
            }
            let confirmations = self.hosted.awaits_confirmation();
            tokio::select! {
                () = self.mailbox.notified() => {}
                input = next_report(&mut self.outbox, &mut self.session_ends, &mut self.requests, confirmations) => self.handle(input?),
                () = &mut clock => self.tick(due).await,
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.hosted.handle(input, self.host.now());
    }

    async fn tick(&mut self, due: Instant) {
        let now = Instant::now();
        if self.rests_at.is_some_and(|at| at <= now) {
            self.rests_at = None;
            Box::pin(self.runner.rest(REST_AFTER)).await;
        }
        if due <= now {
            self.handle(Input::Tick);
        }
    }

    fn next_tick(&mut self) -> Instant {
        let wait = self.hosted.poll_timeout().map_or(u64::from(u32::MAX), |due| due.since(self.host.now()));
        Instant::now() + Duration::from_millis(wait)
    }

    fn report_restored(&mut self) {
        if !std::mem::replace(&mut self.restored, true) {
            self.host.rooms().has_restored(&self.host, self.id);
        }
    }

    // ---- inputs ----

    /// Reports what other tasks have changed since the last time. Returns whether there are questions.
    fn report_changes(&mut self) -> bool {
        let Changes { stored, diverged, active_component, asked } = self.mailbox.take_changes();
        stored.into_iter().for_each(|offset| self.handle(Input::Stored(offset)));
        if let Some(offset) = diverged {
            self.host.metrics.divergences.inc();
            tracing::error!(room = %self.id, offset, "the store has another state of this room at this offset; the room ends");
            self.handle(Input::Diverged(offset));
        }
        active_component.into_iter().for_each(|component| self.handle(Input::ActiveComponent(component)));
        if !self.informed.draining && self.host.partitions.is_leaving(self.partition) {
            self.informed.draining = true;
            self.handle(Input::Drain);
        }
        let scarcity = self.host.scarcity();
        if scarcity != self.informed.scarcity {
            self.informed.scarcity = scarcity;
            self.handle(Input::Instances(scarcity));
        }
        asked
    }

    /// Hands over the waiting records, all of them before any output is carried out, so that a `Fault` takes effect in time.
    async fn hand_over_records(&mut self) -> Result<bool, HostError> {
        match self.mailbox.take() {
            None => return Ok(false),
            Some(Waiting::Records(records)) => {
                for (offset, record) in records {
                    self.hand_over(offset, record);
                }
            }
            Some(Waiting::ReadFrom(offset)) => Box::pin(self.catch_up(offset)).await?,
        }
        Ok(true)
    }

    fn hand_over(&mut self, offset: Offset, record: Record) {
        self.oldest_input.get_or_insert(record.time);
        let begun = std::time::Instant::now();
        self.handle(Input::Record(offset, record));
        self.charge(self.hosted.room().account().cloned(), begun.elapsed());
    }

    /// Reads from the log the records that did not fit in the mailbox. Records that arrive meanwhile go to the mailbox, so the
    /// machine may receive some of them twice.
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
                    self.hand_over(offset, record);
                }
            }
            self.carry_out_all().await?;
        }
        Ok(())
    }

    // ---- outputs ----

    /// Carries out the outputs, until there is none. Breaks when the room hibernates.
    async fn carry_out(&mut self) -> Result<ControlFlow<()>, HostError> {
        self.outbox.check()?;
        while let Some(id) = self.outbox.take_confirmed() {
            self.handle(Input::Confirmed(id));
        }
        while let Some(output) = self.hosted.poll_output() {
            match output {
                Output::Guest(call) => self.call(call).await,
                Output::DropInstance => self.runner.drop_instance(),
                Output::Append { room, time, command, receipt } => self.append(room, time, command, receipt).await?,
                Output::Send { edge, command } => self.send(edge, command),
                Output::FindComponent(kind) => Box::pin(self.find_component(&kind)).await,
                Output::Flush => self.flush().await?,
                Output::Save(save) => Box::pin(self.save(*save)).await,
                Output::EndSession { session, reason } => self.end_session(session, reason),
                Output::Perform { number, kind, data } => {
                    self.requests.spawn(request::run(self.host.clone(), self.id, number, kind, data));
                }
                Output::Report(report) => self.report_player(*report),
                Output::Hibernate(hibernation) => {
                    if self.hibernate(hibernation) {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Output::Ended { failed } => Box::pin(self.events.ended(&self.hosted, failed)).await,
                Output::Log { level, text } => Box::pin(self.events.log(&self.hosted, level, text)).await,
                Output::Notice(notice) => Box::pin(self.notice(notice)).await,
            }
        }
        if let Some(offset) = self.hosted.needs_no_record_through() {
            self.mailbox.mark_unneeded(offset);
        }
        self.oldest_input.take().into_iter().for_each(|time| self.host.metrics.caused(time, self.host.now()));
        Ok(ControlFlow::Continue(()))
    }

    /// Carries out the outputs, and waits until the machine accepts records again.
    async fn carry_out_all(&mut self) -> Result<(), HostError> {
        loop {
            // The records that are yet to be read keep the room from hibernating.
            let _ = self.carry_out().await?;
            if self.hosted.accepts_records() {
                return Ok(());
            }
            let confirmations = self.hosted.awaits_confirmation();
            let input =
                next_report(&mut self.outbox, &mut self.session_ends, &mut self.requests, confirmations).await?;
            self.handle(input);
        }
    }

    async fn append(
        &mut self,
        room: RoomId,
        time: Time,
        command: RoomCommand,
        receipt: Option<AppendId>,
    ) -> Result<(), HostError> {
        self.outbox.check()?;
        let append = self.host.append_at(time, room, command).await?;
        self.outbox.put(self.host.partition_of(room), append, receipt);
        Ok(())
    }

    fn send(&mut self, edge: MachineId, command: EdgeCommand) {
        if let EdgeCommand::Deliver(deliveries) = &command {
            self.host.metrics.deliveries.inc_by(deliveries.len() as u64);
        }
        let sent = self.host.bus.send_edge(&edge, command);
        self.outbox.put_sent(edge, sent);
    }

    async fn find_component(&mut self, kind: &Kind) {
        if self.host.catalogue.active(kind).is_none() {
            // The kind may have been published a moment ago.
            if let Err(error) = self.host.refresh_kinds().await {
                tracing::warn!(%kind, %error, "a kind cannot be looked up");
            }
        }
        self.handle(Input::Component(self.host.catalogue.active(kind)));
    }

    async fn flush(&mut self) -> Result<(), HostError> {
        self.outbox.flush().await?;
        self.handle(Input::Flushed);
        Ok(())
    }

    async fn save(&mut self, save: Save) {
        let update = saver::update_of(save);
        let has_snapshot = update.snapshot.is_some();
        self.host.metrics.snapshots.inc();
        self.host.saver.save(Job { update, mailbox: self.mailbox.clone() }).await;
        if has_snapshot && self.runner.drop_overgrown() {
            self.handle(Input::InstanceLost);
        }
    }

    fn end_session(&mut self, session: SessionId, reason: Box<str>) {
        self.session_ends.spawn(session_end::run(self.host.clone(), self.id, session, reason));
    }

    fn report_player(&mut self, report: room::Report) {
        let Some(kind) = self.hosted.kind().cloned() else { return };
        self.host.metrics.reports.inc();
        self.outbox.put_report(tokio::spawn(report::run(self.host.clone(), self.id, kind, report)));
    }

    /// Under the map's lock: a record that arrives now either keeps the room here or restores it.
    fn hibernate(&mut self, hibernation: Hibernation) -> bool {
        if let Some(offset) = self.hosted.needs_no_record_through() {
            self.mailbox.mark_unneeded(offset);
        }
        let mut rooms = self.host.rooms();
        if self.mailbox.is_given_up() {
            return true;
        }
        if !self.mailbox.is_settled() {
            return false;
        }
        rooms.live.remove(&self.id);
        self.host.alarms.hibernated(self.id, hibernation);
        true
    }

    async fn notice(&mut self, notice: Notice) {
        if let Notice::Created { kind, .. } = &notice {
            self.mailbox.set_kind(kind.clone());
            self.list();
            let active = self.host.catalogue.active(kind);
            active.into_iter().for_each(|component| self.handle(Input::ActiveComponent(component)));
        }
        self.events.notice(&self.hosted, notice).await;
    }

    /// Puts a new room into lists before its first snapshot is stored. Nothing waits for this row, and no host restores from it.
    fn list(&self) {
        if let Some(state) = self.hosted.room().state() {
            self.host.saver.list(saver::listed(state.offset, self.hosted.summary()));
        }
    }

    // ---- the guest ----

    async fn call(&mut self, call: Call) {
        let room = self.hosted.room();
        let batch = if let Call::HandleAll(entries) = &call { room.accounts_of(entries) } else { Vec::new() };
        let machine = room.account().filter(|_| batch.is_empty()).cloned();
        let account = room.account_for(&call).cloned();
        if let Call::Open { info, .. } = &call
            && let Some(why) = info.restored
        {
            self.host.metrics.restored(why);
        }
        // One block for all rooms in turn, instead of a place in each task.
        let outcome = Box::pin(self.runner.run(call)).await;
        let Cost { fuel, busy, shares } = Box::pin(self.report()).await;
        self.charge(account, busy);
        self.rests_at = Some(Instant::now() + REST_AFTER);
        match outcome {
            Ok(outcome) => {
                let begun = std::time::Instant::now();
                self.handle(Input::Guest { outcome, fuel });
                self.charge(machine, begun.elapsed());
                self.charge_batch(batch, &shares, busy + begun.elapsed());
            }
            Err(cause) => {
                if let Unavailable::Resource(reason) = &cause {
                    tracing::warn!(room = %self.id, reason, "this host could not run a guest; trying again");
                }
                if !matches!(cause, Unavailable::Cell) {
                    tokio::time::sleep(RESOURCE_RETRY).await;
                }
                self.handle(Input::InstanceLost);
            }
        }
    }

    /// Reports what the call logged, before its outcome is handled. Returns what it cost.
    async fn report(&mut self) -> Cost {
        let Report { fuel, busy, shares, failed_log, failed_at, restore_effects, reopened } = self.runner.take_report();
        if let Some(log) = failed_log {
            let offset = failed_at.or(self.hosted.room().in_hand());
            self.events.failed_log = offset.map(|offset| (offset, log));
        }
        if reopened {
            self.host.metrics.restored(RestoreReason::Recovered);
        }
        self.events.restored(&self.hosted, restore_effects).await;
        // What the engine does between two polls costs no fuel, and a rebuild does it again.
        let fuel = match fuel.unwrap_or(0) {
            0 => 0,
            fuel => fuel.max(budget::fuel_of(busy)),
        };
        Cost { fuel, busy, shares }
    }

    /// Each in proportion to what its own entry has cost. A call that has failed as a whole is charged to nobody: its records are
    /// handed over again, each alone.
    fn charge_batch(&mut self, accounts: Vec<Option<Account>>, shares: &[u64], spent: Duration) {
        for (account, part) in accounts.into_iter().zip(parts(spent, shares)) {
            self.charge(account, part);
        }
    }

    /// Best effort, and nothing waits for it: the edge slows sessions that cost too much, and can do without one report.
    fn charge(&mut self, account: Option<Account>, spent: Duration) {
        let Some(account) = account else { return };
        if let Some(micros) = self.meter.add(&account, spent) {
            let Account { session, connection, edge, .. } = account;
            drop(self.host.bus.send_edge(&edge, EdgeCommand::Spent { session, connection, micros }));
        }
    }
}

/// What a call has cost.
struct Cost {
    /// Its fuel, or as much as is usual for its time if that is more.
    fuel: u64,
    busy: Duration,
    /// See [`Report::shares`].
    shares: Vec<u64>,
}

/// The parts of this time in proportion to the shares.
fn parts(spent: Duration, shares: &[u64]) -> impl Iterator<Item = Duration> {
    // A share of nothing has a part, so the whole is never nothing.
    let share = |share: &u64| f64::max(*share as f64, 1.0);
    let all = shares.iter().map(share).sum::<f64>();
    shares.iter().map(move |one| spent.mul_f64(share(one) / all))
}

/// The next report that the machine may wait for. Never resolves if there is none to wait for. Cancel safe.
async fn next_report(
    outbox: &mut Outbox,
    session_ends: &mut JoinSet<SessionEnd>,
    requests: &mut JoinSet<Performed>,
    confirmations: bool,
) -> Result<Input, HostError> {
    loop {
        tokio::select! {
            confirmed = outbox.confirmed(), if confirmations => return Ok(Input::Confirmed(confirmed?)),
            Some(ended) = session_ends.join_next() => match ended {
                Ok(SessionEnd { session, rooms }) => return Ok(Input::SessionEnded { session, rooms }),
                Err(error) => tracing::error!(%error, "the end of a kicked session has failed"),
            },
            Some(performed) = requests.join_next() => match performed {
                Ok(Performed { number, result }) => return Ok(Input::Performed { number, result }),
                Err(error) => tracing::error!(%error, "a request of a room has failed; it ends at its deadline"),
            },
            else => std::future::pending::<()>().await,
        }
    }
}

impl Shared {
    fn room_options(&self) -> hosting::Options {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        hosting::Options {
            hibernate_after_ms: ms(self.options.hibernate_after),
            snapshot_after_ms: ms(self.options.snapshot_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task takes the memory of its largest moment for as long as its room is live, so what is rare or brief is boxed.
    #[test]
    fn the_task_of_a_room_is_small() {
        fn size_of_task<A, B, C, D, F: Future>(_: impl FnOnce(A, B, C, D) -> F) -> usize {
            size_of::<F>()
        }
        let size = size_of_task(run);
        assert!(size <= 4 * 1024, "{size} bytes");
    }

    #[test]
    fn each_sender_of_a_batch_is_charged_for_its_own_entry() {
        let of = |shares: &[u64]| parts(Duration::from_micros(300), shares).collect::<Vec<_>>();
        assert_eq!(of(&[100, 200_000, 99_900]).iter().map(Duration::as_micros).collect::<Vec<_>>(), [0, 200, 99]);
        assert_eq!(of(&[0, 0, 0]), [Duration::from_micros(100); 3]);
        assert_eq!(of(&[u64::MAX]), [Duration::from_micros(300)]);
        assert_eq!(of(&[]), []);
    }
}
