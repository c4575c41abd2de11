//! Small logs, a script of a few lines, and the violations that must be found in them.

use std::sync::Arc;

use chorus_core::{
    command::{Fault, Joining, LeaveReason, Player, Record, RequestId, RoomCommand},
    effect::{Effect, Event as Asked, Saved},
    ids::{ConnectionId, Digest, Kind, MachineId, Offset, OutputId, RoomId, Secret, SessionId, Time},
    json::Json,
    room::{Call, Outcome, Spec},
};
use chorus_store::{KeptHash, RoomRow, RoomStatus, SnapshotRow};
use serde_json::{Value, json};

use super::{
    Guest, Unplayable,
    channels::Channel,
    history::{Event, History, OfRoom, Seen, Stay},
    judge::judge,
    replay::{Beginning, Replay, replay},
    report::{Figures, Rule, Violation},
    stored::Stored,
    talk::Talk,
};

const ROOM: RoomId = RoomId(7);
const OTHER: RoomId = RoomId(8);
const ANA: SessionId = SessionId(1);
const BEN: SessionId = SessionId(2);

// ---- frames and messages ----

#[tokio::test]
async fn whoever_saw_what_the_room_showed_is_content() {
    let log = a_talk();
    let played = play(&log).await;
    assert_eq!(found(&played, &honest(&played)), []);
    let mut figures = Figures::default();
    judge(ROOM, &played, &honest(&played), &mut figures, &mut Vec::new());
    assert_eq!((figures.messages, figures.acknowledged), (3, 3));
    assert!(figures.frames > 10, "{figures:?}");
}

/// The changes to Ana's part of a valid history, and the violations that must be found.
#[tokio::test]
async fn every_rule_about_frames_and_messages_is_broken_once() {
    type Plant = fn(&mut Vec<Event>);
    let planted: [(Rule, Plant); 12] = [
        (Rule::FrameTwice, |ana| ana.insert(4, ana[3].clone())),
        (Rule::FrameMissing, |ana| drop(ana.remove(3))),
        (Rule::FrameDiffers, |ana| set(&mut ana[3], "data", json!("another"))),
        // The same, with its keys in another order.
        (Rule::FrameDiffers, |ana| {
            let Event::Frame { frame, .. } = &mut ana[3] else { panic!("no frame: {:?}", ana[3]) };
            *frame = seen(Value::clone(frame));
        }),
        (Rule::FrameUnknown, |ana| ana.push(frame(json!({"t": "event", "seq": last(ana) + 1})))),
        (Rule::FrameUnknown, |ana| ana.push(frame(json!({"t": "left", "seq": last(ana) + 1, "reason": "left"})))),
        (Rule::NotByTheRoom, |ana| ana.push(Event::Edge { id: 1, frame: seen(json!({"t": "reply", "id": 1})) })),
        (Rule::NotInChannel, |ana| ana.extend([sent(9, "say"), applied(9)])),
        (Rule::NotAsSent, |ana| ana.insert(0, sent(1, "shout"))),
        (Rule::NeverSent, |ana| ana.retain(|event| !matches!(event, Event::Sent { id: 1, .. }))),
        (Rule::AnsweredTwice, |ana| ana.push(frame(json!({"t": "reply", "seq": last(ana) + 1, "id": 1})))),
        (Rule::NoEffect, |ana| {
            ana.retain(|event| !matches!(event, Event::Frame { frame, .. } if frame["id"] == 2));
            ana.push(Event::Edge { id: 2, frame: seen(json!({"t": "error", "id": 2, "code": "unavailable"})) });
        }),
    ];
    let played = play(&a_talk()).await;
    for (rule, plant) in planted {
        let mut history = honest(&played);
        plant(&mut history.get_mut(&ANA).unwrap().events);
        let rules = found(&played, &history);
        assert!(rules.contains(&rule), "{}: found only {rules:?}", rule.text());
    }
}

#[tokio::test]
async fn a_message_that_is_in_the_channel_twice_is_applied_once() {
    let mut log = a_talk();
    log.push(says(ANA, 1));
    let played = play(&log).await;
    let first = &played.messages[&(ANA, 1)];
    assert_eq!((first.at.len(), first.applied.len()), (2, 1));
    assert_eq!(found(&played, &honest(&played)), []);
}

#[tokio::test]
async fn a_machine_that_applied_a_message_twice_would_be_told() {
    let mut played = play(&a_talk()).await;
    played.messages.get_mut(&(BEN, 1)).unwrap().applied.push(99);
    assert_eq!(found(&played, &OfRoom::new()), [Rule::AppliedTwice]);
}

#[tokio::test]
async fn a_message_that_its_room_dropped_was_not_acknowledged() {
    let mut log = a_talk();
    log.push(RoomCommand::Leave { session: ANA, reason: LeaveReason::Left });
    log.push(says(ANA, 3));
    let played = play(&log).await;
    let mut history = honest(&played);
    let ana = &mut history.get_mut(&ANA).unwrap().events;
    ana.push(sent(3, "say"));
    assert_eq!(found(&played, &history), []);
    history.get_mut(&ANA).unwrap().events.push(applied(3));
    assert_eq!(found(&played, &history), [Rule::NotApplied]);
}

#[tokio::test]
async fn an_edge_may_say_left_in_the_place_of_a_room_that_has_let_the_session_go() {
    let mut log = a_talk();
    log.push(RoomCommand::Leave { session: ANA, reason: LeaveReason::Left });
    let played = play(&log).await;
    let mut history = honest(&played);
    let ana = &mut history.get_mut(&ANA).unwrap().events;
    let Some(Event::Frame { seq, frame }) = ana.last_mut() else { panic!("it has frames") };
    assert_eq!(frame["t"], "left");
    // The room itself sent "left"; Ana was disconnected, and her next edge sent it with other fields and under a lower number.
    *seq -= 1;
    let left = format!(r#"{{"t":"left","room":"{ROOM}","seq":{seq},"reason":"moved"}}"#);
    *frame = Seen::parse(&left).unwrap();
    ana.remove(ana.len() - 2);
    assert_eq!(found(&played, &history), []);
}

// ---- what the log takes back ----

/// The record at 4 is taken back by the one at 6.
fn a_fault() -> Vec<RoomCommand> {
    let fault = Fault::OutOfMemory(1);
    vec![
        create(),
        joins(ANA),
        joins(BEN),
        says(BEN, 1),
        says(ANA, 1),
        says(BEN, 2),
        RoomCommand::Fault { at: OutputId { offset: 4, index: 0 }, fault },
        says(BEN, 3),
    ]
}

#[tokio::test]
async fn what_was_taken_back_may_have_been_seen() {
    let played = play(&a_fault()).await;
    assert!(played.messages[&(ANA, 1)].applied == [4], "it was applied, as a failure");
    let (kept, back) = timelines(&played, BEN);
    assert_eq!(found(&played, &of(&played, BEN, &kept)), []);
    assert_eq!(found(&played, &of(&played, BEN, &back)), []);
    assert!(back.iter().any(|(_, text)| text.contains("said")) && kept != back);
}

#[tokio::test]
async fn what_was_taken_back_is_not_shown_any_more_after_the_whole_view() {
    let played = play(&a_fault()).await;
    let (kept, back) = timelines(&played, BEN);
    let (seq, text) = back.iter().find(|entry| !kept.contains(entry)).unwrap();
    let late: Vec<_> = kept.iter().cloned().chain([(seq + 20_000, text.clone())]).collect();
    let rules = found(&played, &of(&played, BEN, &late));
    assert!(rules.contains(&Rule::FrameUnknown), "{rules:?}");
}

#[tokio::test]
async fn a_script_that_failed_and_nobody_said_so_is_told_where() {
    let mut log = a_talk();
    log.push(RoomCommand::Message { session: ANA, message_id: 3, kind: "trap".into(), data: Json::null() });
    log.push(says(BEN, 2));
    let played = play(&log).await;
    assert_eq!(played.stuck, Some(log.len() as u64 - 2));
    assert!(played.messages[&(BEN, 2)].applied.is_empty());
}

// ---- the store ----

#[tokio::test]
async fn a_snapshot_is_what_the_log_leads_to() {
    let log = a_talk();
    for wanted in 1..log.len() as u64 {
        let played = play_to(&log, Some(wanted)).await;
        let state = played.states[&wanted].clone();
        assert_eq!(stored_rules(&log, &played, &stored(Some((wanted, &state)), 0)), []);
        let other = play_to(&log, Some(wanted - 1)).await.states[&(wanted - 1)].clone();
        let rules = stored_rules(&log, &played, &stored(Some((wanted, &other)), 0));
        assert_eq!(rules, [Rule::SnapshotDiffers]);
    }
}

#[tokio::test]
async fn so_is_one_that_another_has_taken_the_place_of() {
    let log = a_talk();
    let played = play_to(&log, Some(3)).await;
    let kept = |offset, hash| Stored { hashes: vec![KeptHash { room: ROOM, offset, hash }], ..stored(None, 0) };
    assert_eq!(stored_rules(&log, &played, &kept(3, Digest::of(&played.states[&3]))), []);
    assert_eq!(stored_rules(&log, &played, &kept(3, Digest([9; 32]))), [Rule::SnapshotDiffers]);
    assert_eq!(stored_rules(&log, &played, &kept(77, Digest([9; 32]))), [Rule::SnapshotUnknown]);
}

#[tokio::test]
async fn below_the_checkpoint_all_is_in_the_snapshot() {
    let log = a_talk();
    let played = play_to(&log, Some(3)).await;
    let state = played.states[&3].clone();
    assert_eq!(stored_rules(&log, &played, &stored(Some((3, &state)), 4)), []);
    assert_eq!(stored_rules(&log, &played, &stored(Some((3, &state)), 5)), [Rule::SnapshotBehind]);
}

#[tokio::test]
async fn a_room_ends_by_its_log() {
    let log = a_talk();
    let played = play(&log).await;
    let mut stored = stored(None, 0);
    stored.row.as_mut().unwrap().status = RoomStatus::Ended;
    assert_eq!(stored_rules(&log, &played, &stored), [Rule::EndedInStoreOnly]);
}

#[tokio::test]
async fn a_room_whose_log_was_cut_is_checked_from_its_snapshot_on() {
    let log = a_talk();
    let all = play_to(&log, Some(3)).await;
    let bytes = all.states[&3].clone();
    let rest: Vec<_> = numbered(&log).into_iter().filter(|(offset, _)| *offset > 3).collect();
    let stored = stored(Some((3, &bytes)), 0);
    let channel = Channel { partition: 0, records: rest };
    let beginning = Beginning::of(&channel, false, stored.has_ended(), stored.snapshot.as_ref()).unwrap();
    let played = replay(ROOM, &beginning, &channel.records, &stored.offsets(), &mut Script::default()).await.unwrap();
    let mut figures = Figures::default();
    let mut violations = Vec::new();
    judge(ROOM, &played, &honest(&all), &mut figures, &mut violations);
    assert_eq!(violations, []);
    assert!(figures.frames > 0 && figures.frames_unchecked > 0, "{figures:?}");
}

// ---- rooms among themselves ----

#[tokio::test]
async fn what_a_room_tells_another_is_in_its_channel_and_nothing_else_is() {
    let mut log = a_talk();
    log.push(RoomCommand::Message { session: ANA, message_id: 3, kind: "tell".into(), data: Json::null() });
    let played = play_to(&log, Some(log.len() as u64 - 1)).await;
    let number = match &played.said[0].what {
        super::replay::Saying::Tell { command: RoomCommand::RoomMessage { number, .. }, .. } => *number,
        other => panic!("{other:?}"),
    };
    let told = RoomCommand::RoomMessage {
        from: ROOM,
        number,
        data: chorus_core::command::RoomData::Message(Json::trusted("5")),
    };
    let mut another = told.clone();
    if let RoomCommand::RoomMessage { number, .. } = &mut another {
        number.index += 1;
    }
    let state = played.states[&(log.len() as u64 - 1)].clone();
    let check = |theirs: Vec<RoomCommand>| {
        let ours = Channel { partition: 0, records: numbered(&log) };
        let mut talk = Talk::of(&played, &ours, &stored(Some((log.len() as u64 - 1, &state)), 0));
        let theirs = numbered(&theirs).into_iter().map(|(offset, record)| (offset, Record { room: OTHER, ..record }));
        let theirs = Channel { partition: 0, records: theirs.collect() };
        talk.extend(Talk::of(&Replay::default(), &theirs, &Stored { room: OTHER, ..stored(None, 0) }));
        let found = talk.check(|_| true, &mut Figures::default());
        found.into_iter().map(|found| found.rule).collect::<Vec<_>>()
    };
    assert_eq!(check(vec![told.clone(), told.clone()]), []);
    assert_eq!(check(vec![]), [Rule::OutputMissing]);
    assert_eq!(check(vec![told, another]), [Rule::OutputUnknown]);
}

// ---- the history ----

#[test]
fn a_history_is_sorted_by_room_and_session() {
    let room = ROOM.to_string();
    let text = json!({"players": [{"name": "Ana", "frames": [
        {"out": true, "frame": {"t": "hello"}},
        {"frame": {"t": "welcome", "session": ANA.to_string()}},
        {"frame": {"t": "room", "room": room, "seq": 1, "ack": 0, "view": null}},
        {"out": true, "frame": {"t": "msg", "id": 1, "type": "say", "data": 5}},
        {"frame": {"t": "error", "id": 1, "code": "unavailable"}},
        {"frame": {"t": "welcome", "session": BEN.to_string()}},
        {"frame": {"t": "reply", "id": 1}},
    ], "sends": [], "games": []}]});
    let history = History::parse(&text.to_string()).unwrap();
    assert_eq!(history.sessions, 2);
    let stay = &history.rooms[&ROOM][&ANA];
    assert_eq!(stay.player, "Ana");
    assert!(matches!(
        &stay.events[..],
        [Event::Frame { seq: 1, .. }, Event::Sent { id: 1, .. }, Event::Edge { id: 1, .. }]
    ));
    assert!(!history.rooms[&ROOM].contains_key(&BEN), "the new session has sent nothing");
    assert!(History::parse("{}").is_err());
}

// ---- logs ----

fn create() -> RoomCommand {
    let (kind, component) = (Kind::new("talk").unwrap(), Digest([1; 32]));
    RoomCommand::Create { kind, component, options: Json::null(), creator: None, secret: Secret(1), allowance: 0 }
}

fn joins(session: SessionId) -> RoomCommand {
    let player = Player { id: "p".into(), name: "P".into() };
    let (edge, options) = (MachineId("edge".into()), Json::null());
    let request = RequestId { connection: ConnectionId(1), number: 1 };
    RoomCommand::Join(Joining { session, player, edge, request, message_id: 0, options, from: None })
}

fn says(session: SessionId, id: u64) -> RoomCommand {
    RoomCommand::Message { session, message_id: id, kind: "say".into(), data: Json::trusted("5") }
}

fn a_talk() -> Vec<RoomCommand> {
    vec![create(), joins(ANA), joins(BEN), says(ANA, 1), says(BEN, 1), says(ANA, 2)]
}

fn numbered(log: &[RoomCommand]) -> Vec<(Offset, Record)> {
    let record = |command: &RoomCommand| Record { room: ROOM, time: Time(1_000), command: command.clone() };
    (0..).zip(log.iter().map(record)).collect()
}

async fn play(log: &[RoomCommand]) -> Replay {
    play_to(log, None).await
}

async fn play_to(log: &[RoomCommand], wanted: Option<Offset>) -> Replay {
    let mut script = Script::default();
    let wanted = wanted.into_iter().collect();
    replay(ROOM, &Beginning::Nothing, &numbered(log), &wanted, &mut script).await.unwrap()
}

/// Repeats every player's text to all, and counts it.
#[derive(Default)]
struct Script {
    count: u64,
}

impl Guest for Script {
    async fn answer(&mut self, call: Call) -> Result<Option<Outcome>, Unplayable> {
        Ok(Some(match call {
            Call::Open { saved, .. } => {
                self.count = saved.map_or(0, |saved| saved.state.as_str().parse().unwrap());
                Outcome::Opened(Ok(spec()))
            }
            Call::Handle { event, .. } => Outcome::Called(self.handle(event)),
            Call::Save => Outcome::Saved(Ok(Saved { version: 1, state: Json::of(&self.count) })),
            Call::Swap { .. } => panic!("nobody swaps here"),
        }))
    }

    fn retires(&mut self) -> bool {
        false
    }
}

impl Script {
    fn handle(&mut self, event: Asked) -> Result<Vec<Effect>, Fault> {
        let broadcast = |data: Json| Effect::Broadcast { kind: "said".into(), data, except: vec![] };
        Ok(match event {
            Asked::Join { .. } => vec![Effect::Admit { spectator: false }],
            Asked::Message { kind, data, .. } => match &*kind {
                "trap" => return Err(Fault::Trapped("as told".into())),
                "tell" => vec![Effect::SendRoom { room: OTHER, data: Json::trusted("5") }],
                _ => {
                    self.count += 1;
                    vec![broadcast(data), broadcast(Json::of(&self.count)), Effect::Reply { data: Json::null() }]
                }
            },
            _ => vec![],
        })
    }
}

fn spec() -> Arc<Spec> {
    Arc::new(Spec {
        state_version: 1,
        max_players: 0,
        hold_ms: 1_000,
        keep_when_empty: true,
        empty_ms: 0,
        max_faults: 5,
        fuel_per_message: 1_000_000,
        max_rooms: 16,
        max_timers: 8,
        messages: ["say", "trap", "tell"].into_iter().map(Into::into).collect(),
        shows_failures: false,
        timers: Default::default(),
    })
}

// ---- histories ----

/// Every player received every frame, and sent the messages in the channel.
fn honest(played: &Replay) -> OfRoom {
    let mut history = OfRoom::new();
    for session in played.shown.keys() {
        let (kept, _) = timelines(played, *session);
        history.extend(of(played, *session, &kept));
    }
    history
}

/// The history of one session, with these frames.
fn of(played: &Replay, session: SessionId, frames: &[(u64, String)]) -> OfRoom {
    let theirs =
        played.messages.iter().filter(|((whose, _), received)| *whose == session && !received.applied.is_empty());
    let mut events: Vec<Event> = Vec::new();
    for ((_, id), received) in theirs {
        events.push(sent(*id, &received.kind));
    }
    let parsed = frames.iter().map(|(seq, text)| Event::Frame { seq: *seq, frame: Seen::parse(text).unwrap() });
    events.extend(parsed);
    OfRoom::from([(session, Stay { player: "somebody".into(), events })])
}

/// Frames with their numbers.
type Frames = Vec<(u64, String)>;

/// The frames from a host with the whole log, and those from a host that read the fault later.
fn timelines(played: &Replay, session: SessionId) -> (Frames, Frames) {
    let (mut kept, mut back) = (Vec::new(), Vec::new());
    for (seq, frames) in &played.shown[&session].frames {
        for frame in frames {
            let entry = (*seq, frame.frame.with_seq(*seq));
            let alone = frames.len() == 1;
            if frame.taken_back.is_none() {
                kept.push(entry.clone());
            }
            if alone || frame.taken_back.is_some() {
                back.push(entry);
            }
        }
    }
    (kept, back)
}

fn sent(id: u64, kind: &str) -> Event {
    let data = if kind == "say" { json!(5) } else { Value::Null };
    Event::Sent { id, kind: kind.into(), data: seen(data) }
}

fn applied(id: u64) -> Event {
    Event::Edge { id, frame: seen(json!({"t": "error", "id": id, "code": "applied"})) }
}

fn frame(frame: Value) -> Event {
    Event::Frame { seq: frame["seq"].as_u64().unwrap(), frame: seen(frame) }
}

fn last(events: &[Event]) -> u64 {
    let seqs = events.iter().filter_map(|event| match event {
        Event::Frame { seq, .. } => Some(*seq),
        _ => None,
    });
    seqs.max().unwrap()
}

fn set(event: &mut Event, key: &str, value: Value) {
    let Event::Frame { frame, .. } = event else { panic!("no frame: {event:?}") };
    let mut changed = Value::clone(frame);
    changed[key] = value;
    *frame = seen(changed);
}

fn seen(value: Value) -> Seen {
    Seen::parse(&value.to_string()).unwrap()
}

fn found(played: &Replay, history: &OfRoom) -> Vec<Rule> {
    let mut violations: Vec<Violation> = played.violations.clone();
    judge(ROOM, played, history, &mut Figures::default(), &mut violations);
    violations.into_iter().map(|found| found.rule).collect()
}

// ---- the store's side ----

fn stored(snapshot: Option<(Offset, &Arc<[u8]>)>, checkpoint: Offset) -> Stored {
    let component = Digest([1; 32]);
    let row = RoomRow {
        id: ROOM,
        offset: 0,
        kind: Kind::new("talk").unwrap(),
        component,
        status: RoomStatus::Live,
        creator: None,
        created_at: Time(0),
        ended_at: None,
        outcome: None,
        next_timer_at: None,
        clock: Time(0),
        metadata: None,
        members: 0,
    };
    let snapshot = snapshot.map(|(offset, state)| SnapshotRow {
        room: ROOM,
        offset,
        component,
        hash: Digest::of(state),
        state: state.to_vec().into(),
    });
    Stored { room: ROOM, row: Some(row), snapshot, hashes: Vec::new(), checkpoint }
}

fn stored_rules(log: &[RoomCommand], played: &Replay, stored: &Stored) -> Vec<Rule> {
    let mut violations = Vec::new();
    let channel = Channel { partition: 0, records: numbered(log) };
    stored.check(played, &channel, &mut Figures::default(), &mut violations);
    violations.into_iter().map(|found| found.rule).collect()
}
