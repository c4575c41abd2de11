//! Stories of a hosted room. The guest sets a timer, creates a room and moves its member there, kicks it, or ends, as its
//! member's message orders; the shell reports what the story lets it report.

use super::*;
use crate::{
    command::{Joining, Player, RequestId},
    effect::{Effect, Event, RestoreReason, SavedState},
    ids::{ConnectionId, SessionId},
    room::{Call, ComponentSpec, Outcome},
};

const NOON: Time = Time(1_700_000_000_000);
const ROOM: RoomId = RoomId(0xa);
const ANA: SessionId = SessionId(1);
const OPTIONS: Options = Options { hibernate_after_ms: 60_000, snapshot_after_ms: 30_000 };
/// Events that the message `flood` sends, in addition to its reply.
const FLOOD: usize = 64;
const TAKEOVER: Takeover = Takeover { at: NOON, inherited: None };

#[test]
fn a_move_to_a_new_room_waits_until_the_log_has_that_room_and_so_does_everything_after_it() {
    let mut story = Story::with_member();
    let out = story.message("pair");
    assert_eq!(out, ["find game", "append create #1"], "the move and the reply are held back");
    assert_eq!(story.on(Input::Confirmed(AppendId(1))), ["send move", "send frames"]);
}

#[test]
fn a_kind_without_a_component_fails_the_creation_in_the_creators_channel() {
    let mut story = Story::with_member();
    story.has_game = false;
    let out = story.message("pair");
    assert_eq!(out, ["find game", "append answer", "send move", "send frames"]);
}

#[test]
fn a_room_with_too_many_held_commands_accepts_no_records() {
    let mut story = Story::with_member();
    story.message("pair");
    for _ in 0..MAX_HELD / FLOOD {
        assert!(story.hosted.accepts_records());
        story.message("flood");
    }
    assert!(!story.hosted.accepts_records());
    let out = story.on(Input::Confirmed(AppendId(1)));
    assert_eq!(out.len(), 2 + MAX_HELD / FLOOD * (FLOOD + 1), "all of them, in order");
    assert!(story.hosted.accepts_records());
}

#[test]
fn a_snapshot_is_stored_once_everything_before_it_has_arrived() {
    let mut story = Story::with_member();
    story.flushes = false;
    story.after(OPTIONS.snapshot_after_ms);
    assert_eq!(story.on(Input::Tick), ["save state", "flush"]);
    assert!(!story.hosted.accepts_records(), "nothing may be added to what is owed");
    assert_eq!(story.on(Input::Flushed), ["store @2"]);
    assert!(story.hosted.accepts_records());
}

#[test]
fn a_snapshot_waits_for_held_commands_before_anything_else() {
    let mut story = Story::with_member();
    story.message("pair");
    story.after(OPTIONS.snapshot_after_ms);
    assert_eq!(story.on(Input::Tick), ["save state"]);
    let out = story.on(Input::Confirmed(AppendId(1)));
    assert_eq!(out, ["send move", "send frames", "flush", "store @3"]);
}

#[test]
fn a_room_is_saved_at_the_latest_after_the_configured_time() {
    let mut story = Story::with_member();
    for _ in 0..29 {
        story.after(1_000);
        story.message("none");
        assert_eq!(story.on(Input::Tick), [""; 0]);
    }
    story.after(1_000);
    assert_eq!(story.hosted.poll_timeout(), Some(story.now), "however busy it is");
    assert_eq!(story.on(Input::Tick), ["save state", "flush", "store @31"]);
}

#[test]
fn a_timer_is_appended_once_however_long_its_record_is_in_flight() {
    let mut story = Story::with_member();
    story.message("ring");
    assert_eq!(story.hosted.poll_timeout(), Some(story.now.plus(5_000)));
    story.after(5_000);
    assert_eq!(story.on(Input::Tick), ["append timer"]);
    story.message("none");
    for _ in 0..3 {
        story.after(1_000);
        assert_eq!(story.on(Input::Tick), [""; 0]);
        assert!(story.hosted.poll_timeout() > Some(story.now), "nothing is due");
    }
}

#[test]
fn an_idle_room_hibernates_when_the_store_has_it_and_leaves_an_alarm() {
    let mut story = Story::with_member();
    story.message("ring late");
    story.after(OPTIONS.hibernate_after_ms);
    assert_eq!(story.on(Input::Tick), ["save state", "flush", "store @3"], "not before it is stored");
    let out = story.on(Input::Stored(3));
    assert_eq!(out, ["hibernate until 540000 later"]);
    assert_eq!(story.hosted.needs_no_record_through(), Some(3));
}

#[test]
fn a_record_that_arrives_just_then_keeps_the_room_awake() {
    let mut story = Story::with_member();
    story.after(OPTIONS.hibernate_after_ms);
    story.on(Input::Tick);
    assert_eq!(story.on(Input::Stored(2)), ["hibernate"]);
    assert_eq!(story.message("none"), ["send frames"]);
    assert_eq!(story.on(Input::Tick), [""; 0], "it is not idle any longer");
    assert_eq!(story.hosted.needs_no_record_through(), None);
}

#[test]
fn where_instances_are_short_idle_rooms_hibernate_sooner() {
    let mut story = Story::with_member();
    story.after(SHORT_AFTER_MS);
    assert_eq!(story.on(Input::Tick), [""; 0]);
    story.on(Input::InstancesShort(true));
    assert_eq!(story.hosted.poll_timeout(), Some(story.now));
    story.on(Input::Tick);
    assert_eq!(story.on(Input::Stored(2)), ["hibernate"]);
}

#[test]
fn a_room_whose_partition_is_handed_over_hibernates_as_soon_as_it_is_stored() {
    let mut story = Story::with_member();
    assert_eq!(story.on(Input::Drain), ["save state", "flush", "store @2"]);
    assert_eq!(
        story.message("none"),
        ["send frames", "save state", "flush", "store @3"],
        "the log had one more record"
    );
    assert_eq!(story.on(Input::Stored(2)), [""; 0]);
    assert_eq!(story.on(Input::Stored(3)), ["hibernate"]);
}

#[test]
fn a_kicked_session_is_ended_in_its_rooms_and_in_this_one_last() {
    let mut story = Story::with_member();
    assert_eq!(story.message("kick"), ["send frames", "end session"]);
    let rooms = vec![RoomId(1), ROOM, RoomId(2)];
    let out = story.on(Input::SessionEnded { session: ANA, rooms });
    assert_eq!(out, ["append leave", "append leave", "append leave"]);
}

#[test]
fn a_room_with_a_pending_kick_does_not_hibernate_unless_another_host_repeats_the_kick() {
    let mut story = Story::with_member();
    story.message("kick");
    story.after(OPTIONS.hibernate_after_ms);
    story.on(Input::Tick);
    assert_eq!(story.on(Input::Stored(3)), [""; 0]);
    assert_eq!(story.hosted.summary().next_timer, Some(NOON), "the next host restores it at once");
    assert_eq!(story.on(Input::Drain), ["hibernate"]);
}

#[test]
fn the_end_of_a_room_is_stored_after_its_kicks() {
    let mut story = Story::with_member();
    story.message("kick");
    let out = story.record(RoomCommand::Close { reason: "over".into() });
    assert_eq!(out, ["send frames", "ended", "drop instance"], "the kick that is pending is not output again");
    let ended = Input::SessionEnded { session: ANA, rooms: Vec::new() };
    assert_eq!(story.on(ended), ["append leave", "flush", "store the end @4"]);
}

#[test]
fn a_room_that_has_ended_hibernates_soon() {
    let mut story = Story::with_member();
    story.message("end");
    story.on(Input::Stored(3));
    story.after(ENDED_AFTER_MS);
    assert_eq!(story.on(Input::Tick), ["hibernate"]);
}

#[test]
fn a_room_that_was_never_created_hibernates_although_it_has_nothing_to_store() {
    let mut story = Story::new(Found::Nothing);
    assert_eq!(story.record(join()), ["send refused"]);
    story.after(ENDED_AFTER_MS);
    assert_eq!(story.on(Input::Tick), ["hibernate"]);
}

#[test]
fn after_a_lost_append_the_room_begins_again_at_the_snapshot_and_gives_new_receipts() {
    let mut story = Story::with_member();
    story.message("pair");
    story.hosted.begin_again(Found::Nothing, None, story.now).expect("there is no snapshot to be read");
    for (offset, record) in story.log.clone() {
        story.hosted.handle(Input::Record(offset, record), story.now);
    }
    let out = story.drain();
    assert!(out.contains(&"append create #2".to_owned()), "{out:?}");
    story.on(Input::Confirmed(AppendId(1)));
    assert!(story.hosted.awaits_confirmation(), "the lost append confirms nothing");
}

#[test]
fn a_room_that_begins_again_still_hibernates_sooner_where_instances_are_short() {
    let mut story = Story::with_member();
    story.on(Input::InstancesShort(true));
    story.hosted.begin_again(Found::Nothing, None, story.now).expect("there is no snapshot to be read");
    for (offset, record) in story.log.clone() {
        story.hosted.handle(Input::Record(offset, record), story.now);
    }
    story.drain();
    assert_eq!(story.hosted.poll_timeout(), Some(story.now.plus(SHORT_AFTER_MS)));
}

#[test]
fn a_room_with_two_states_is_closed_in_its_channel() {
    let mut story = Story::with_member();
    assert_eq!(story.on(Input::Diverged(2)), ["append close"]);
}

#[test]
fn a_room_with_a_component_that_is_no_longer_active_swaps() {
    let mut story = Story::with_member();
    assert_eq!(story.on(Input::ActiveComponent(Digest([0; 32]))), [""; 0]);
    assert_eq!(story.on(Input::ActiveComponent(Digest([9; 32]))), ["append swap"]);
}

struct Story {
    hosted: HostedRoom,
    now: Time,
    log: Vec<(Offset, Record)>,
    messages: u64,
    /// Whether there is a component for the kind `game`.
    has_game: bool,
    /// Whether a flush is answered at once.
    flushes: bool,
}

impl Story {
    fn new(found: Found<'_>) -> Story {
        let hosted = HostedRoom::open(ROOM, found, RestoreReason::Woken, TAKEOVER, None, OPTIONS, NOON);
        let hosted = hosted.expect("the snapshot can be read");
        Story { hosted, now: NOON, log: Vec::new(), messages: 0, has_game: true, flushes: true }
    }

    /// A room with one member, by the records 1 and 2.
    fn with_member() -> Story {
        let mut story = Story::new(Found::Nothing);
        story.record(RoomCommand::Create {
            kind: Kind::new("chat").expect("it is a name"),
            component: Digest([0; 32]),
            options: Json::null(),
            creator: None,
            secret: RoomSecret(1),
            allowance: 4,
        });
        story.record(join());
        story
    }

    fn after(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
    }

    fn message(&mut self, msg_type: &str) -> Vec<String> {
        self.messages += 1;
        let (session, message_id) = (ANA, self.messages);
        self.record(RoomCommand::Message { session, message_id, msg_type: msg_type.into(), data: Json::null() })
    }

    fn record(&mut self, command: RoomCommand) -> Vec<String> {
        let offset = self.log.len() as Offset + 1;
        let record = Record { room: ROOM, time: NOON, command };
        self.log.push((offset, record.clone()));
        self.on(Input::Record(offset, record))
    }

    fn on(&mut self, input: Input) -> Vec<String> {
        self.hosted.handle(input, self.now);
        self.drain()
    }

    /// Carries out all outputs, and names them.
    fn drain(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(output) = self.hosted.poll_output() {
            names.extend(self.carry_out(output));
        }
        names
    }

    fn carry_out(&mut self, output: Output) -> Option<String> {
        let name = match output {
            Output::Guest(call) => {
                let saving = matches!(call, Call::Save);
                let input = Input::Guest { outcome: answer(call), fuel: 1 };
                self.hosted.handle(input, self.now);
                return saving.then(|| "save state".to_owned());
            }
            Output::DropInstance => "drop instance".to_owned(),
            Output::Append { command, receipt, .. } => {
                let receipt = receipt.map_or(String::new(), |id| format!(" #{}", id.0));
                format!("append {}{receipt}", name_of(&command))
            }
            Output::Send { command, .. } => match command {
                EdgeCommand::Deliver { .. } => "send frames".to_owned(),
                EdgeCommand::Move { .. } => "send move".to_owned(),
                EdgeCommand::Refused { .. } => "send refused".to_owned(),
                _ => return None,
            },
            Output::FindComponent(kind) => {
                let component = self.has_game.then_some(Digest([1; 32]));
                self.hosted.handle(Input::Component(component), self.now);
                format!("find {kind}")
            }
            Output::Flush => {
                if self.flushes {
                    self.hosted.handle(Input::Flushed, self.now);
                }
                "flush".to_owned()
            }
            Output::Save(save) if save.ended.is_some() => format!("store the end @{}", save.offset),
            Output::Save(save) => format!("store @{}", save.offset),
            Output::EndSession { .. } => "end session".to_owned(),
            Output::Hibernate(Hibernation { alarm: None, .. }) => "hibernate".to_owned(),
            Output::Hibernate(Hibernation { alarm: Some(at), .. }) => {
                format!("hibernate until {} later", at.since(self.now))
            }
            Output::Ended { .. } => "ended".to_owned(),
            Output::Log { .. } | Output::Notice(_) => return None,
        };
        Some(name)
    }
}

fn name_of(command: &RoomCommand) -> &'static str {
    match command {
        RoomCommand::Create { .. } => "create",
        RoomCommand::Answer { .. } => "answer",
        RoomCommand::Timer { .. } => "timer",
        RoomCommand::Leave { .. } => "leave",
        RoomCommand::Close { .. } => "close",
        RoomCommand::Swap { .. } => "swap",
        other => panic!("{other:?}"),
    }
}

fn join() -> RoomCommand {
    RoomCommand::Join(Joining {
        session: ANA,
        player: Player { id: "ana".into(), name: "Ana".into() },
        claims: None,
        edge: MachineId("edge-1".into()),
        request: RequestId { connection: ConnectionId(1), number: 1 },
        message_id: 0,
        options: Json::null(),
        from: None,
    })
}

fn answer(call: Call) -> Outcome {
    match call {
        Call::Open { .. } => Outcome::Opened(Ok(spec())),
        Call::Handle { context, event, .. } => Outcome::Called(Ok(effects(context, event))),
        Call::Save => Outcome::Saved(Ok(SavedState { version: 1, state: Json::null() })),
        Call::Swap { .. } => Outcome::Swapped(Err("there is one component".into())),
    }
}

fn effects(context: crate::effect::CallContext, event: Event) -> Vec<Effect> {
    let reply = Effect::Reply { data: Json::null() };
    let timer = |after_ms| Effect::SetTimer { name: "bell".into(), after_ms, payload: Json::null() };
    match event {
        Event::Join { .. } => vec![Effect::Admit { spectator: false }],
        Event::Message { session, msg_type, .. } => match &*msg_type {
            "ring" => vec![timer(5_000), reply],
            "ring late" => vec![timer(600_000), reply],
            "pair" => {
                let (kind, options) = (Kind::new("game").expect("it is a name"), Json::trusted("{}"));
                let room = context.seed.room(0);
                let create = Effect::CreateRoom { kind, options: options.clone(), allowance: 0 };
                vec![create, Effect::MoveTo { session, room, options }, reply]
            }
            "kick" => vec![Effect::Kick { session, reason: "rude".into() }],
            "flood" => {
                let send = Effect::Send { session, msg_type: "drop".into(), data: Json::null() };
                std::iter::repeat_n(send, FLOOD).chain([reply]).collect()
            }
            "end" => vec![Effect::End { outcome: Json::null() }],
            _ => vec![reply],
        },
        _ => Vec::new(),
    }
}

fn spec() -> Arc<ComponentSpec> {
    let messages = ["none", "flood", "ring", "ring late", "pair", "kick", "end"].map(Into::into).into();
    Arc::new(ComponentSpec {
        state_version: 1,
        max_players: 0,
        hold_ms: 60_000,
        keep_when_empty: true,
        empty_ms: 20_000,
        max_faults: 3,
        fuel_per_message: 1_000_000,
        max_rooms: 16,
        max_timers: 4,
        messages,
        timers: ["bell".into()].into(),
        shows_failures: false,
    })
}
