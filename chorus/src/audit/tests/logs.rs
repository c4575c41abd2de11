//! Logs of one room, and its script.

use std::sync::Arc;

use chorus_core::{
    command::{Fault, Record, RoomCommand},
    effect::{Effect, Event, SavedState},
    ids::{Digest, Offset, RoomId, SessionId, Time},
    json::Json,
    room::{Call, ComponentSpec, Outcome},
};

use chorus_testing::cast::{self, kind, machine};
pub use chorus_testing::cast::{ANA, BEN};

use super::super::{Guest, Unplayable, reference::Replay, replay::replay, start::Start};

pub const ROOM: RoomId = RoomId(7);
pub const OTHER: RoomId = RoomId(8);

pub fn create() -> RoomCommand {
    cast::create(kind("chat"), Digest([1; 32]), &serde_json::json!({}))
}

pub fn join(session: SessionId) -> RoomCommand {
    cast::join(session, &machine("edge-1"), 0)
}

pub fn message(session: SessionId, id: u64) -> RoomCommand {
    cast::message(session, id, "say", &5)
}

pub fn a_chat() -> Vec<RoomCommand> {
    vec![create(), join(ANA), join(BEN), message(ANA, 1), message(BEN, 1), message(ANA, 2)]
}

pub fn numbered(log: &[RoomCommand]) -> Vec<(Offset, Record)> {
    let record = |command: &RoomCommand| Record { room: ROOM, time: Time(1_000), command: command.clone() };
    (0..).zip(log.iter().map(record)).collect()
}

pub async fn play(log: &[RoomCommand]) -> Replay {
    play_to(log, None).await
}

pub async fn play_to(log: &[RoomCommand], wanted: Option<Offset>) -> Replay {
    let mut script = Script::default();
    let wanted = wanted.into_iter().collect();
    replay(ROOM, &Start::Nothing, &numbered(log), &wanted, &mut script).await.unwrap()
}

/// Repeats every player's text to all, and counts it.
#[derive(Default)]
pub struct Script {
    count: u64,
}

impl Guest for Script {
    async fn answer(&mut self, call: Call) -> Result<Option<Outcome>, Unplayable> {
        Ok(Some(match call {
            Call::Open { saved, .. } => {
                self.count = saved.map_or(0, |saved| saved.state.as_str().parse().unwrap());
                Outcome::Opened(Ok(spec()))
            }
            Call::Handle(entry) => Outcome::Called(self.handle(entry.event)),
            Call::HandleAll(entries) => {
                let mut results: Vec<_> = entries.into_iter().map(|entry| self.handle(entry.event)).collect();
                results.truncate(1 + results.iter().take_while(|result| result.is_ok()).count());
                Outcome::CalledAll(results)
            }
            Call::Save => Outcome::Saved(Ok(SavedState { version: 1, state: Json::of(&self.count) })),
            Call::Swap { .. } => panic!("no room is swapped here"),
        }))
    }

    fn retires(&mut self) -> bool {
        false
    }
}

impl Script {
    fn handle(&mut self, event: Event) -> Result<Vec<Effect>, Fault> {
        let broadcast = |data: Json| Effect::Broadcast { msg_type: "said".into(), data, except: vec![] };
        Ok(match event {
            Event::Join { .. } => vec![Effect::Admit { spectator: false }],
            Event::Message { msg_type, data, .. } => match &*msg_type {
                "trap" => return Err(Fault::Trapped("on purpose".into())),
                "send-room" => vec![Effect::SendRoom { room: OTHER, data: Json::trusted("5") }],
                _ => {
                    self.count += 1;
                    vec![broadcast(data), broadcast(Json::of(&self.count)), Effect::Reply { data: Json::null() }]
                }
            },
            _ => vec![],
        })
    }
}

pub fn spec() -> Arc<ComponentSpec> {
    Arc::new(ComponentSpec {
        state_version: 1,
        max_players: 0,
        sessions_per_player: 0,
        hold_ms: 1_000,
        keep_when_empty: true,
        empty_ms: 0,
        max_faults: 5,
        fuel_per_message: 1_000_000,
        max_rooms: 16,
        max_timers: 8,
        messages: ["say", "trap", "send-room"].into_iter().map(Into::into).collect(),
        shows_failures: false,
        timers: Default::default(),
        answers: Default::default(),
    })
}
