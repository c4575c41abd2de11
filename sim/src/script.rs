//! The rooms' guests: a lobby that pairs players, and a game that is over after some hits. Half-way its players wait for a bell,
//! so that the game hibernates. In both, a player can have another member kicked, and can stand up and sit down again. A game has
//! one seat, so one of its two members is a spectator, which plays all the same.
//!
//! There are many components of each kind. They behave alike, but for bad ones, which trap on every message.

use std::{collections::BTreeSet, sync::Arc};

use chorus_core::{
    command::Fault,
    effect::{CallContext, Effect, Event, MemberInfo, RoomInfo, SavedState},
    ids::{Digest, Kind, RoomId, SessionId},
    json::Json,
    room::{Call, ComponentSpec, Entry, Outcome, RequestKind, SwappedTo},
};
use serde_json::{Value, json};

use crate::{Happened, dials::DIALS};

/// A game is over after this many hits.
pub const HITS: u64 = 4;

/// After this many hits, the players wait for the bell.
pub const HITS_BEFORE_BELL: u64 = 2;

/// Seats for players in a game. The lobby has no limit.
const SEATS: usize = 1;

/// The component of this number; a bad one traps on every message.
pub fn component(kind: &Kind, number: u32, bad: bool) -> Digest {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes[30] = u8::from(*kind == Kind::lobby());
    bytes[31] = u8::from(bad);
    Digest(bytes)
}

pub fn kind_of(component: &Digest) -> Kind {
    if component.0[30] == 1 { Kind::lobby() } else { game() }
}

/// Carries out a call, as a host's guest runner does. `traps`: the guest traps, if it is called for a
/// message. (Scripts lose their timers and moves if they trap on these.)
///
/// # Errors
/// When an instance is opened with other roles of its members than those that its saved state has.
pub fn answer(script: &mut Option<Script>, call: Call, traps: bool) -> Result<Outcome, String> {
    Ok(match call {
        Call::Handle(Entry { event: Event::Message { .. }, .. }) if traps => {
            *script = None;
            Outcome::Called(Err(Fault::Trapped("on this call".into())))
        }
        Call::Open { component, info, saved, .. } => {
            *script = Some(Script::open(component, &info, saved.as_ref())?);
            Outcome::Opened(Ok(spec(&info.kind)))
        }
        Call::Handle(entry) => {
            let called = script.as_mut().expect("it is open").call(&entry.context, entry.event);
            if called.is_err() {
                *script = None;
            }
            Outcome::Called(called)
        }
        Call::HandleAll(_) => return Err("its entries are carried out one by one".into()),
        Call::Save => Outcome::Saved(Ok(script.as_ref().expect("it is open").save())),
        Call::Swap { component, info, .. } => {
            let before = script.as_ref().expect("it is open").save();
            *script = Some(Script::open(component, &info, Some(&before))?);
            Outcome::Swapped(Ok(SwappedTo { before, spec: spec(&info.kind), effects: Vec::new() }))
        }
    })
}

/// The session that this outcome kicks.
pub fn kicked(outcome: &Outcome) -> Option<SessionId> {
    let Outcome::Called(Ok(effects)) = outcome else { return None };
    effects.iter().find_map(|effect| match effect {
        Effect::Kick { session, .. } => Some(*session),
        _ => None,
    })
}

/// The changes of role in this outcome.
pub fn seat_changes(outcome: &Outcome) -> impl Iterator<Item = Happened> + '_ {
    let effects = if let Outcome::Called(Ok(effects)) = outcome { &effects[..] } else { &[] };
    effects.iter().filter_map(|effect| match effect {
        Effect::Sit { .. } => Some(Happened::Sit),
        Effect::Stand { .. } => Some(Happened::Stand),
        _ => None,
    })
}

/// One instance.
#[derive(Debug)]
pub struct Script {
    lobby: bool,
    bad: bool,
    /// The saved state.
    state: Value,
    members: BTreeSet<SessionId>,
}

impl Script {
    fn open(component: Digest, info: &RoomInfo, saved: Option<&SavedState>) -> Result<Script, String> {
        let fresh = json!({ "hits": 0, "rung": false, "waiting": null, "moving": [], "watching": [], "asking": false });
        let state = saved.map_or(fresh, |saved| serde_json::from_str(&saved.state).expect("it saved JSON"));
        let members = info.members.iter().map(|MemberInfo { session, .. }| *session).collect();
        let script = Script { lobby: info.kind == Kind::lobby(), bad: component.0[31] == 1, state, members };
        let spectators = info.members.iter().filter(|member| member.spectator).map(|member| member.session.to_string());
        let (spectators, watching) = (spectators.collect::<BTreeSet<_>>(), script.watching());
        let (asks, pending) = (script.state["asking"] == json!(true), info.requests.len());
        if usize::from(asks) != pending {
            return Err(format!("opened with {pending} requests, and its state has {asks}"));
        }
        if spectators == watching {
            return Ok(script);
        }
        Err(format!("opened with the spectators {spectators:?}, and its state has {watching:?}"))
    }

    fn call(&mut self, context: &CallContext, event: Event) -> Result<Vec<Effect>, Fault> {
        if self.bad && matches!(event, Event::Message { .. }) {
            return Err(Fault::Trapped("a bad component".into()));
        }
        Ok(self.handle(context, event))
    }

    fn save(&self) -> SavedState {
        SavedState { version: 1, state: Json::of(&self.state) }
    }

    fn handle(&mut self, context: &CallContext, event: Event) -> Vec<Effect> {
        match event {
            Event::Create { .. } => vec![self.view()],
            Event::Join { member, .. } => {
                self.members.insert(member.session);
                self.set_watching(member.session, member.spectator);
                vec![Effect::Admit { spectator: member.spectator }, self.view()]
            }
            Event::Message { session, msg_type, .. } => match &*msg_type {
                "find" => self.find(context, session),
                "hit" => self.hit(),
                "kick" => self.kick_other(session),
                "change-seat" => self.change_seat(session),
                _ => vec![Effect::MoveTo { session, room: RoomId::LOBBY, options: Json::null() }, reply(Value::Null)],
            },
            Event::Drop { session } => self.forget(session, false),
            Event::Leave { session, .. } => {
                self.members.remove(&session);
                self.set_watching(session, false);
                self.forget(session, true)
            }
            Event::Identify { .. } => vec![Effect::Identify],
            Event::MoveFailed { session, .. } => self.forget(session, true),
            // Who it was is in no view, so all see it at once.
            Event::Erase { player } => vec![broadcast("erased", &json!(player)), self.view()],
            Event::Answer { .. } => {
                self.state["asking"] = json!(false);
                vec![broadcast("answer", &Value::Null)]
            }
            Event::Timer { .. } => {
                self.state["rung"] = json!(true);
                vec![broadcast("bell", &Value::Null), self.view()]
            }
            _ => Vec::new(),
        }
    }

    fn find(&mut self, context: &CallContext, session: SessionId) -> Vec<Effect> {
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
        let room = context.seed.room(0);
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
        if hits > HITS_BEFORE_BELL && self.state["rung"] != json!(true) {
            return vec![reply(Value::Null)];
        }
        self.state["hits"] = json!(hits);
        let mut effects = vec![broadcast("hits", &json!(hits)), self.view(), reply(json!(hits))];
        if self.state["asking"] != json!(true) {
            self.state["asking"] = json!(true);
            effects.push(ask());
        }
        if hits == HITS_BEFORE_BELL {
            effects.push(Effect::SetTimer { name: "bell".into(), after_ms: DIALS.bell, payload: Json::null() });
        }
        effects
    }

    /// Reports and kicks a member other than this one, if there is one.
    fn kick_other(&self, by: SessionId) -> Vec<Effect> {
        let Some(session) = self.members.iter().copied().find(|member| *member != by) else {
            return vec![reply(Value::Null)];
        };
        let report = Effect::Report { session, reason: "rude".into(), data: Json::of(&by.to_string()) };
        vec![report, Effect::Kick { session, reason: "rude".into() }, reply(Value::Null)]
    }

    /// A player stands up; a spectator sits down, if there is a seat.
    fn change_seat(&mut self, session: SessionId) -> Vec<Effect> {
        let watching = self.watching();
        let watches = watching.contains(&session.to_string());
        if watches && !self.lobby && self.members.len() - watching.len() >= SEATS {
            return vec![Effect::Refuse { reason: "no seat is free".into() }];
        }
        self.set_watching(session, !watches);
        let change = if watches { Effect::Sit { session } } else { Effect::Stand { session } };
        vec![change, reply(Value::Null)]
    }

    /// The members that are spectators.
    fn watching(&self) -> BTreeSet<String> {
        let watching = self.state["watching"].as_array().expect("it is a list from the beginning");
        watching.iter().map(|session| session.as_str().expect("a session").to_owned()).collect()
    }

    fn set_watching(&mut self, session: SessionId, watches: bool) {
        let mut watching = self.watching();
        if watches {
            watching.insert(session.to_string())
        } else {
            watching.remove(&session.to_string())
        };
        self.state["watching"] = json!(watching);
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
        Effect::View { view: Json::of(&json!({ "hits": self.state["hits"], "rung": self.state["rung"] })) }
    }
}

fn ask() -> Effect {
    let (handler, payload, data) = ("tables".into(), Json::null(), Json::trusted(r#"{"kind":"game"}"#));
    Effect::Request { kind: RequestKind::Find, handler, after_ms: 10_000, payload, data }
}

fn broadcast(msg_type: &str, data: &Value) -> Effect {
    Effect::Broadcast { msg_type: msg_type.into(), data: Json::of(data), except: Vec::new() }
}

fn reply(data: Value) -> Effect {
    Effect::Reply { data: Json::of(&data) }
}

pub fn game() -> Kind {
    Kind::new("game").expect("it is a name")
}

fn spec(kind: &Kind) -> Arc<ComponentSpec> {
    let lobby = *kind == Kind::lobby();
    let messages =
        if lobby { vec!["find", "kick", "change-seat"] } else { vec!["hit", "leave", "kick", "change-seat"] };
    Arc::new(ComponentSpec {
        state_version: 1,
        max_players: if lobby { 0 } else { SEATS as u32 },
        sessions_per_player: 0,
        hold_ms: 60_000,
        keep_when_empty: lobby,
        empty_ms: 20_000,
        max_faults: 3,
        fuel_per_message: 1_000_000,
        max_rooms: 16,
        max_timers: 4,
        messages: messages.into_iter().map(Into::into).collect(),
        shows_failures: false,
        timers: ["bell".into()].into(),
        answers: ["tables".into()].into(),
    })
}
