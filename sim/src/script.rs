//! The rooms' guests: a lobby that pairs players, and a game that is over after some hits.

use std::{collections::BTreeSet, sync::Arc};

use chorus_core::{
    effect::{Effect, Event, MemberInfo, Moment, RoomInfo, Saved},
    ids::{Kind, RoomId, SessionId},
    json::Json,
    room::Spec,
};
use serde_json::{Value, json};

/// A game is over after this many hits.
pub const HITS: u64 = 4;

/// One instance.
#[derive(Debug)]
pub struct Script {
    lobby: bool,
    /// The saved state.
    state: Value,
    members: BTreeSet<SessionId>,
}

impl Script {
    pub fn open(info: &RoomInfo, saved: Option<&Saved>) -> Script {
        let fresh = json!({ "hits": 0, "waiting": null, "moving": [] });
        let state = saved.map_or(fresh, |saved| serde_json::from_str(&saved.state).expect("it saved JSON"));
        let members = info.members.iter().map(|MemberInfo { session, .. }| *session).collect();
        Script { lobby: info.kind == Kind::lobby(), state, members }
    }

    pub fn save(&self) -> Saved {
        Saved { version: 1, state: Json::of(&self.state) }
    }

    pub fn handle(&mut self, at: &Moment, event: Event) -> Vec<Effect> {
        match event {
            Event::Create { .. } => vec![self.view()],
            Event::Join { member, .. } => {
                self.members.insert(member.session);
                vec![Effect::Admit { spectator: false }, self.view()]
            }
            Event::Message { session, msg_type, .. } => match &*msg_type {
                "find" => self.find(at, session),
                "hit" => self.hit(),
                _ => vec![Effect::MoveTo { session, room: RoomId::LOBBY, options: Json::null() }, reply(Value::Null)],
            },
            Event::Drop { session } => self.forget(session, false),
            Event::Leave { session, .. } => {
                self.members.remove(&session);
                self.forget(session, true)
            }
            Event::MoveFailed { session, .. } => self.forget(session, true),
            _ => Vec::new(),
        }
    }

    fn find(&mut self, at: &Moment, session: SessionId) -> Vec<Effect> {
        let me = json!(session.to_string());
        if self.moving().contains(&me) {
            return vec![Effect::Refuse { reason: "you are on your way".into() }];
        }
        let other = self.members.iter().copied().find(|other| self.state["waiting"] == json!(other.to_string()));
        let Some(other) = other.filter(|other| *other != session) else {
            self.state["waiting"] = me;
            return vec![reply(Value::Null)];
        };
        self.state["waiting"] = Value::Null;
        let room = at.seed.room(0);
        let mut effects = vec![Effect::CreateRoom { kind: game(), options: Json::trusted("{}"), allowance: 0 }];
        for session in [other, session] {
            self.moving().push(json!(session.to_string()));
            effects.push(Effect::MoveTo { session, room, options: Json::trusted("{}") });
        }
        effects.push(reply(Value::Null));
        effects
    }

    fn hit(&mut self) -> Vec<Effect> {
        let hits = self.state["hits"].as_u64().unwrap_or(0) + 1;
        self.state["hits"] = json!(hits);
        let told = Effect::Broadcast { msg_type: "hits".into(), data: Json::of(&hits), except: Vec::new() };
        vec![told, self.view(), reply(json!(hits))]
    }

    fn forget(&mut self, session: SessionId, gone: bool) -> Vec<Effect> {
        let me = json!(session.to_string());
        if self.state["waiting"] == me {
            self.state["waiting"] = Value::Null;
        }
        if gone {
            self.moving().retain(|moving| *moving != me);
        }
        let over = !self.lobby && gone && self.members.is_empty();
        if over { vec![Effect::End { outcome: Json::null() }] } else { Vec::new() }
    }

    fn moving(&mut self) -> &mut Vec<Value> {
        self.state["moving"].as_array_mut().expect("it is a list from the beginning")
    }

    fn view(&self) -> Effect {
        Effect::View { view: Json::of(&json!({ "hits": self.state["hits"] })) }
    }
}

fn reply(data: Value) -> Effect {
    Effect::Reply { data: Json::of(&data) }
}

pub fn game() -> Kind {
    Kind::new("game").expect("it is a name")
}

pub fn spec(kind: &Kind) -> Arc<Spec> {
    let lobby = *kind == Kind::lobby();
    let messages = if lobby { vec!["find"] } else { vec!["hit", "leave"] };
    Arc::new(Spec {
        state_version: 1,
        max_players: 0,
        hold_ms: 60_000,
        keep_when_empty: lobby,
        empty_ms: 20_000,
        max_faults: 3,
        fuel_per_message: 1_000_000,
        max_rooms: 16,
        max_timers: 4,
        messages: messages.into_iter().map(Into::into).collect(),
        shows_failures: false,
        timers: [].into(),
    })
}
