//! Stories of a hosted room, by theme. The type of a member's message selects what the guest does: it sets a timer, creates a
//! room and moves the member there, kicks the member, or ends. Each story selects what the shell reports.

mod hibernation;
mod kicks;
mod outputs;
mod requests;
mod restarts;

use std::num::NonZero;

use super::*;
use crate::{
    command::{Joining, Player, RequestId},
    effect::{Effect, Event, RestoreReason, SavedState},
    ids::{ConnectionId, SessionId},
    room::{Call, ComponentSpec, Outcome, RequestKind},
};

const NOON: Time = Time(1_700_000_000_000);
const ROOM: RoomId = RoomId(0xa);
const ANA: SessionId = SessionId(1);
const OPTIONS: Options = Options { hibernate_after_ms: 60_000, snapshot_after_ms: 30_000 };
/// Events that the message `flood` sends, in addition to its reply. Each takes a command: a message to a room is between two.
const FLOOD: usize = 64;
const TAKEOVER: Takeover = Takeover { at: NOON, inherited: None };

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
                EdgeCommand::Deliver(_) => "send frames".to_owned(),
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
            Output::Perform { kind, .. } => format!("perform {}", kind.as_str()),
            Output::Report(report) => format!("report {}", report.reason),
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
        RoomCommand::RoomMessage { .. } => "message",
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
        Call::Handle(entry) => Outcome::Called(Ok(effects(entry.context, entry.event))),
        Call::HandleAll(entries) => {
            Outcome::CalledAll(entries.into_iter().map(|entry| Ok(effects(entry.context, entry.event))).collect())
        }
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
            "report" => vec![Effect::Report { session, reason: "spam".into(), data: Json::null() }, reply],
            "flood" => {
                let send = Effect::Send { session, msg_type: "drop".into(), data: Json::null() };
                let between = Effect::SendRoom { room: RoomId(0xb), data: Json::null() };
                std::iter::repeat_n([send, between], FLOOD).flatten().chain([reply]).collect()
            }
            "find" => vec![find(), reply],
            "end" => vec![Effect::End { outcome: Json::null() }],
            _ => vec![reply],
        },
        _ => Vec::new(),
    }
}

fn find() -> Effect {
    let (payload, data) = (Json::null(), Json::trusted(r#"{"kind":"table"}"#));
    Effect::Request { kind: RequestKind::Find, handler: "tables".into(), after_ms: 10_000, payload, data }
}

fn spec() -> Arc<ComponentSpec> {
    let messages =
        ["none", "flood", "ring", "ring late", "find", "pair", "kick", "report", "end"].map(Into::into).into();
    Arc::new(ComponentSpec {
        state_version: 1,
        max_players: 0,
        sessions_per_player: 0,
        hold_ms: 60_000,
        keep_when_empty: true,
        empty_ms: 20_000,
        max_faults: 3,
        fuel_per_message: 1_000_000,
        max_rooms: 16,
        max_timers: 4,
        messages,
        timers: ["bell".into()].into(),
        answers: ["tables".into()].into(),
        shows_failures: false,
    })
}

fn none_left() -> Scarcity {
    Scarcity::of(1, NonZero::<u64>::MIN)
}
