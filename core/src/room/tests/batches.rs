//! Batches change nothing: the same records give the same outputs and the same state, however many are handed over in a call.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::*;
use crate::room::batch::{BATCH_BYTES, BATCH_FUEL, BATCH_RECORDS};

// ---- stories ----

#[test]
fn messages_that_wait_are_handed_over_together_and_answered_one_by_one() {
    let mut story = in_swing(chatter());
    let out = story.hand_over((10..20).map(|id| message(ANA, id)));
    assert_eq!(story.batches, [10]);
    assert_eq!(story.accounts[story.accounts.len() - 10..], [Some(ANA); 10], "each is charged to its sender");
    assert_eq!(out.tags().iter().filter(|tag| **tag == FrameTag::Reply).count(), 10);
}

#[test]
fn a_batch_is_bounded_in_records_and_in_bytes() {
    let mut story = in_swing(chatter());
    story.hand_over((10..60).map(|id| message(ANA, id)));
    assert_eq!(story.batches, [BATCH_RECORDS, 18]);
    story.batches.clear();
    let long = "x".repeat(BATCH_BYTES / 4);
    story.hand_over((60..68).map(|id| message_with(ANA, id, &long)));
    assert_eq!(story.batches, [4, 4], "the first is handed over at any size");
}

#[test]
fn a_replay_hands_its_tail_over_in_few_calls() {
    let mut story = in_swing(chatter());
    (10..110).for_each(|id| drop(story.record(message(ANA, id))));
    let before = story.events.len();
    story.room.handle(Input::InstanceLost);
    let out = story.turn();
    assert_eq!(out.outputs, []);
    assert_eq!(story.events.len() - before, story.log.len());
    assert_eq!(story.batches, [32, 32, 32, 13], "the last join and the messages");
}

#[test]
fn what_another_answer_may_change_is_not_handed_over_with_it() {
    let mut story = in_swing(chatter());
    let timer = RoomCommand::Timer { id: OutputId { offset: 1, index: 0 }, name: None };
    let unknown = RoomCommand::Message { session: BEA, message_id: 12, msg_type: "shout".into(), data: Json::null() };
    let others = [timer, unknown, drop_of(BEA, EDGE), message(ANA, 13), message(DAN, 1), leave(CAI), swap(2)];
    for (id, other) in (10..).zip(others) {
        story.hand_over([message(ANA, id), other]);
        assert!(story.batches.is_empty(), "{:?}", story.log.last());
    }
}

#[test]
fn a_guest_that_was_given_a_record_in_vain_is_rebuilt() {
    let kicks = |event: &Event| match event {
        Event::Message { data, .. } if data.contains("kick") => {
            Ok(vec![Effect::Kick { session: BEA, reason: "rude".into() }])
        }
        event => chatter()(event),
    };
    let mut story = in_swing(kicks);
    let opened = story.opened.len();
    let out = story.hand_over([message_with(ANA, 10, "kick"), message(BEA, 50), message(ANA, 11)]);
    assert_eq!(story.batches, [3]);
    assert_eq!(story.opened.len(), opened + 1, "the room had dropped what the guest had handled");
    assert_eq!(out.tags().iter().filter(|tag| **tag == FrameTag::Reply).count(), 2, "of Ana's messages");
    let handled = story.room.state().unwrap().members[&BEA].last_message_id;
    assert!(handled < 50, "{handled}");
    story.batches.clear();
    story.hand_over((20..50).map(|id| message(ANA, id)));
    assert!(story.batches.is_empty(), "its records are handed over alone for a while");
}

#[test]
fn a_batch_that_fails_as_a_whole_is_handed_over_record_by_record() {
    let mut story = in_swing(counter());
    story.loses_batches = true;
    let out = story.hand_over((10..20).map(|id| message(ANA, id)));
    assert_eq!(story.batches, [10]);
    assert_eq!(out.tags().len(), 10);
    assert_eq!(story.guest_state(), "18");
}

#[test]
fn the_record_that_fails_in_a_batch_is_the_one_that_is_skipped() {
    let mut story = in_swing(counter());
    let trapped = story.next + 3;
    let messages = ["", "trap", "", "throw", ""];
    let out = story.hand_over((10..).zip(messages).map(|(id, what)| message_with(ANA, id, what)));
    assert_eq!(out.tags(), [FrameTag::Reply], "of the record before");
    assert!(
        matches!(out.outputs.last(), Some(Output::Append(_, RoomCommand::Fault { at, .. })) if at.offset == trapped)
    );
    let out = story.record(fault_at(trapped));
    let tags = out.tags();
    assert_eq!(tags[..4], [FrameTag::Error, FrameTag::Reply, FrameTag::Error, FrameTag::Reply]);
}

#[test]
fn a_fault_that_is_read_while_its_record_is_ahead_of_the_room_counts() {
    let mut story = in_swing(counter());
    let decided = story.next + 3;
    for record in [message(ANA, 10), message(ANA, 11), message(ANA, 12), fault_at(decided)] {
        story.log_only(record);
    }
    let records = story.log[story.log.len() - 4..].to_vec();
    for (offset, record) in records[..3].iter().cloned() {
        story.room.handle(Input::Record(offset, record));
    }
    let Some(Output::Guest(Call::HandleAll(entries))) = story.room.poll_output() else { panic!("no batch") };
    let (offset, record) = records[3].clone();
    story.room.handle(Input::Record(offset, record));
    let outcome = story.answer(Call::HandleAll(entries));
    story.room.handle(Input::Guest { outcome, fuel: 0 });
    let out = story.turn();
    assert_eq!(out.tags()[..3], [FrameTag::Reply, FrameTag::Error, FrameTag::Reply]);
    assert_eq!(story.guest_state(), "10");
}

#[test]
fn a_snapshot_that_is_requested_during_a_batch_has_all_of_it() {
    let mut story = in_swing(counter());
    for id in 10..20 {
        let (offset, record) = story.log_only(message(ANA, id));
        story.room.handle(Input::Record(offset, record));
    }
    let Some(Output::Guest(call @ Call::HandleAll(_))) = story.room.poll_output() else { panic!("no batch") };
    story.room.handle(Input::TakeSnapshot);
    let outcome = story.answer(call);
    story.room.handle(Input::Guest { outcome, fuel: 0 });
    let out = story.turn();
    let last = story.next - 3;
    assert!(matches!(out.outputs.last(), Some(Output::Snapshot { offset, .. }) if *offset == last), "{out:?}");
    assert_eq!(story.room.state().unwrap().saved.as_ref().map(|saved| &*saved.state), Some("18"));
}

#[test]
fn dear_records_are_handed_over_alone() {
    let mut story = in_swing(chatter());
    story.burns = BATCH_FUEL;
    story.record(message(ANA, 10));
    story.hand_over((11..20).map(|id| message(ANA, id)));
    assert!(story.batches.is_empty(), "{:?}", story.batches);
}

/// A room with three members that has handled enough records to hand over as many as it may.
fn in_swing(script: impl FnMut(&Event) -> Result<Vec<Effect>, Fault> + 'static) -> Story {
    let mut story = Story::of(script);
    story.spec = Arc::new(ComponentSpec { max_players: 0, ..ComponentSpec::clone(&spec()) });
    let mut story = story.with_members(&[ANA, BEA, CAI]);
    (1..9).for_each(|id| drop(story.record(message(ANA, id))));
    story
}

// ---- random rooms ----

#[test]
fn random_rooms_are_the_same_with_and_without_batches() {
    let mut seen = Seen::default();
    for seed in 0..700 {
        compare(seed, &mut seen);
    }
    assert!(seen.handed_together > 5_000, "{seen:?}");
    let rare = [seen.lost, seen.overrun, seen.opened_in_excess, seen.ended, seen.faults, seen.snapshots];
    assert!(rare.iter().all(|count| *count > 50), "{seen:?}");
}

/// What the random rooms have shown.
#[derive(Debug, Default)]
struct Seen {
    handed_together: usize,
    lost: usize,
    overrun: usize,
    opened_in_excess: usize,
    ended: usize,
    faults: usize,
    snapshots: usize,
}

/// Plays a random room, one record in each call, then gives the same inputs to a room with batches.
fn compare(seed: u64, seen: &mut Seen) {
    let mut dice = Dice(seed);
    let id = if dice.one_in(3) { RoomId::LOBBY } else { ROOM };
    let mut alone = Played::new(id, seed, false);
    let mut batched = Played::new(id, seed, true);
    let mut world = Records::new(id);
    let mut appended = vec![];
    for turn in 0..30 {
        let inputs = world.inputs(&mut dice, &alone.room, std::mem::take(&mut appended));
        let outputs = alone.play(&inputs);
        assert_eq!(batched.play(&inputs), outputs, "seed {seed}, turn {turn}: {inputs:?}");
        assert_eq!(batched.room.state(), alone.room.state(), "seed {seed}, turn {turn}");
        for output in outputs {
            match output {
                Output::Append(room, command) if room == id => appended.push(command),
                Output::Ended { .. } => seen.ended += 1,
                Output::Snapshot { .. } => seen.snapshots += 1,
                Output::Notice(Notice::Faulted { .. } | Notice::Threw { .. }) => seen.faults += 1,
                _ => {}
            }
        }
    }
    assert_eq!(alone.handed_together, 0);
    seen.handed_together += batched.handed_together;
    seen.lost += batched.lost;
    seen.overrun += batched.overrun;
    seen.opened_in_excess += batched.opened.saturating_sub(alone.opened + batched.lost + batched.overrun);
}

/// A room, and a guest whose every answer depends on all that it was called with.
struct Played {
    room: Room,
    seed: u64,
    guest: u64,
    batches: bool,
    snapshot: Option<Arc<[u8]>>,
    after_snapshot: Vec<(Offset, Record)>,
    dice: Dice,
    handed_together: usize,
    lost: usize,
    overrun: usize,
    opened: usize,
}

#[derive(Clone, Debug)]
enum Given {
    Records(Vec<(Offset, Record)>),
    TakeSnapshot,
    InstanceLost,
    /// Another host takes over at the latest snapshot.
    TakeOver,
}

impl Played {
    fn new(id: RoomId, seed: u64, batches: bool) -> Played {
        let (snapshot, after_snapshot) = (None, vec![]);
        let (handed_together, lost, overrun, opened) = (0, 0, 0, 0);
        let dice = Dice(seed ^ 0xba7c);
        let room = Room::new(id);
        Played { room, seed, guest: 0, batches, snapshot, after_snapshot, dice, handed_together, lost, overrun, opened }
    }

    fn play(&mut self, inputs: &[Given]) -> Vec<Output> {
        let mut outputs = vec![];
        for input in inputs {
            match input {
                Given::Records(records) => {
                    self.after_snapshot.extend(records.iter().cloned());
                    self.give(records);
                }
                Given::TakeSnapshot => self.room.handle(Input::TakeSnapshot),
                Given::InstanceLost => self.room.handle(Input::InstanceLost),
                Given::TakeOver => self.take_over(),
            }
            outputs.append(&mut self.carry_out());
        }
        outputs
    }

    fn give(&mut self, records: &[(Offset, Record)]) {
        if !self.batches {
            self.room.batch.disable();
        }
        for (offset, record) in records {
            self.room.handle(Input::Record(*offset, record.clone()));
        }
    }

    fn take_over(&mut self) {
        let id = self.room.id();
        if self.room.has_ended() {
            return;
        }
        let restore = |bytes: &Arc<[u8]>| Room::restore(id, bytes, RestoreReason::Recovered).unwrap();
        self.room = self.snapshot.as_ref().map_or_else(|| Room::new(id), restore);
        if let Some((offset, _)) = self.after_snapshot.last() {
            self.room.handle(Input::Inherited(*offset));
        }
        self.give(&self.after_snapshot.clone());
    }

    fn carry_out(&mut self) -> Vec<Output> {
        let mut outputs = vec![];
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Guest(call) => {
                    let outcome = self.answer(call);
                    self.room.handle(Input::Guest { outcome, fuel: 1_000 });
                }
                Output::Snapshot { offset, bytes } => {
                    self.snapshot = Some(bytes.clone());
                    self.after_snapshot.retain(|(at, _)| *at > offset);
                    outputs.push(Output::Snapshot { offset, bytes });
                }
                output => outputs.push(output),
            }
        }
        outputs
    }

    fn answer(&mut self, call: Call) -> Outcome {
        let saved = |guest: u64| SavedState { version: 1, state: Json::of(&guest) };
        match call {
            Call::Open { saved, .. } => {
                self.opened += 1;
                self.guest = saved.map_or(0, |saved| saved.state.parse().unwrap());
                Outcome::Opened(Ok(random_spec()))
            }
            Call::Handle(entry) => Outcome::Called(self.handle(&entry)),
            Call::HandleAll(entries) => {
                self.handed_together += entries.len();
                if self.dice.one_in(30) {
                    self.lost += 1;
                    return Outcome::CalledAll(vec![]);
                }
                let mut results = vec![];
                for entry in entries {
                    if self.is_out_of_time(&entry) {
                        self.overrun += 1;
                        return Outcome::CalledAll(vec![]);
                    }
                    results.push(self.handle(&entry));
                    if results.last().is_some_and(Result::is_err) {
                        break;
                    }
                }
                Outcome::CalledAll(results)
            }
            Call::Save => Outcome::Saved(Ok(saved(self.guest))),
            Call::Swap { .. } => {
                Outcome::Swapped(Ok(SwappedTo { before: saved(self.guest), spec: random_spec(), effects: vec![] }))
            }
        }
    }

    /// The clock decides, which a call that may be a repetition does not leave to it.
    fn is_out_of_time(&self, entry: &Entry) -> bool {
        !entry.repeats && Dice(self.seed ^ entry.offset << 20).roll(150) == 4
    }

    fn handle(&mut self, entry: &Entry) -> Result<Vec<Effect>, Fault> {
        if self.is_out_of_time(entry) {
            return Err(Fault::TooMuch("time".into()));
        }
        let mut hash = DefaultHasher::new();
        (self.guest, entry.context.now, entry.context.seed.random, format!("{:?}", entry.event)).hash(&mut hash);
        let next = hash.finish();
        // The record decides whether it fails, so that it does in a replay.
        let mut fails = Dice(self.seed ^ entry.offset << 20);
        match fails.roll(150) {
            0 | 1 => return Err(Fault::Threw("by chance".into())),
            2 => return Err(trapped()),
            3 => return Err(Fault::OutOfFuel(1)),
            _ => {}
        }
        self.guest = next;
        Ok(random_effects(&entry.event, &mut Dice(next)))
    }
}

fn random_effects(event: &Event, dice: &mut Dice) -> Vec<Effect> {
    let joins = if let Event::Join { member, .. } = event { Some(member.spectator) } else { None };
    let mut effects = vec![];
    if let Some(spectator) = joins.filter(|_| !dice.one_in(8)) {
        effects.push(Effect::Admit { spectator });
    }
    for _ in 0..dice.roll(4) {
        effects.push(random_effect(dice));
    }
    effects
}

fn random_effect(dice: &mut Dice) -> Effect {
    let (session, data) = (SessionId(u128::from(dice.roll(5))), Json::of(&dice.roll(9)));
    let room = RoomId(u128::from(dice.roll(3)) + 50);
    match dice.roll(60) {
        0 | 1 => Effect::Kick { session, reason: "by chance".into() },
        2 => Effect::End { outcome: data },
        3..10 => Effect::View { view: data },
        10..14 => Effect::ViewOf { session, view: data },
        14..18 => Effect::Send { session, msg_type: "one".into(), data },
        18..22 => Effect::Reply { data },
        22..25 => Effect::Refuse { reason: "by chance".into() },
        25..28 => Effect::SetTimer { name: "turn".into(), after_ms: dice.roll(50), payload: data },
        28 => Effect::CancelTimer { name: "turn".into() },
        29 => Effect::SetTimer { name: "other".into(), after_ms: 1, payload: data },
        30 => Effect::Lock,
        31..33 => Effect::Unlock,
        33 => Effect::Metadata { data },
        34 => Effect::Sit { session },
        35 => Effect::Stand { session },
        36 => Effect::MoveTo { session, room, options: data },
        37 => Effect::CreateRoom { kind: Kind::new("game").unwrap(), options: data, allowance: 1 },
        38..40 => Effect::SendRoom { room, data },
        40 => Effect::Log { level: LogLevel::Info, text: "by chance".into() },
        _ => Effect::Broadcast { msg_type: "all".into(), data, except: vec![session] },
    }
}

fn random_spec() -> Arc<ComponentSpec> {
    let spec = ComponentSpec::clone(&spec());
    Arc::new(ComponentSpec { max_faults: 6, timers: ["turn".into(), "other".into()].into(), max_timers: 1, ..spec })
}

/// Random records of a room, of which most are messages that its guest gets.
struct Records {
    id: RoomId,
    next: Offset,
    now: u64,
    ids: [u64; 5],
}

impl Records {
    fn new(id: RoomId) -> Records {
        Records { id, next: 1, now: 1_000_000, ids: [0; 5] }
    }

    fn inputs(&mut self, dice: &mut Dice, room: &Room, mut appended: Vec<RoomCommand>) -> Vec<Given> {
        let mut records = vec![];
        if self.next == 1 {
            records.push(self.record(create()));
        }
        for _ in 0..dice.roll(40) {
            if dice.one_in(4) && !appended.is_empty() {
                records.push(self.record(appended.remove(0)));
            }
            self.now += dice.roll(20);
            let command = self.command(dice, room);
            records.push(self.record(command));
        }
        records.extend(appended.into_iter().map(|command| self.record(command)));
        let mut inputs = vec![Given::Records(records)];
        match dice.roll(12) {
            0 => inputs.push(Given::TakeSnapshot),
            1 => inputs.push(Given::InstanceLost),
            2 => inputs.push(Given::TakeOver),
            _ => {}
        }
        inputs
    }

    fn record(&mut self, command: RoomCommand) -> (Offset, Record) {
        self.next += 1;
        (self.next, Record { room: self.id, time: Time(self.now), command })
    }

    fn command(&mut self, dice: &mut Dice, room: &Room) -> RoomCommand {
        let n = dice.roll(5) as usize;
        let session = SessionId(n as u128);
        match dice.roll(60) {
            0..4 => joining(session, self.ids[n]),
            4 => drop_of(session, EDGE),
            5 | 6 => reconnect(session, EDGE, Some(dice.roll(30))),
            7 => leave(session),
            8 | 9 => RoomCommand::Timer { id: next_timer(room), name: None },
            10 => swap(dice.roll(3) as u8),
            11 => RoomCommand::Message { session, message_id: self.ids[n], msg_type: "say".into(), data: Json::null() },
            12 => RoomCommand::Message { session, message_id: 1 << 40, msg_type: "shout".into(), data: Json::null() },
            13 => RoomCommand::RoomMessage {
                from: RoomId(60),
                number: OutputId { offset: self.next, index: 0 },
                data: RoomData::Message(Json::null()),
            },
            14 => RoomCommand::Leave { session, reason: LeaveReason::Kicked },
            _ => {
                self.ids[n] += 1;
                message_with(session, self.ids[n], &"x".repeat(dice.roll(300) as usize))
            }
        }
    }
}

fn joining(session: SessionId, message_id: u64) -> RoomCommand {
    let RoomCommand::Join(joining) = join(ANA, message_id) else { unreachable!("it is a join") };
    RoomCommand::Join(Joining { session, ..joining })
}

/// A small generator, so that a failure can be repeated by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ bits >> 31) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

fn next_timer(room: &Room) -> OutputId {
    room.poll_timeout().map_or(OutputId { offset: 0, index: 0 }, |(_, id)| id)
}
