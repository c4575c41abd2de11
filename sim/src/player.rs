//! A client that joins the lobby, plays and returns; it resumes and resends as `clients/js` does.

use std::collections::{BTreeMap, BTreeSet};

use chorus_core::ids::{RoomId, SessionId, Time};
use serde_json::{Value, json};

use crate::{
    dials::DIALS,
    script::{HITS, HITS_BEFORE_BELL},
};

/// A player that waits this long for an answer, in milliseconds, reconnects.
const PATIENCE_MS: u64 = 5_000;

/// A request that has had no effect is repeated after this long, in milliseconds.
const ASK_AGAIN_MS: u64 = 3_000;

/// How late the frames of a lost connection arrive at most, in milliseconds.
const LATE_MS: u64 = 1_000;

#[derive(Debug, Default)]
pub struct Player {
    number: usize,
    /// It has an account: half of the players from the beginning, the others from their second connection on.
    has_account: bool,
    /// Its last `hello` was refused, or its token has ended: the next one has a token.
    needs_token: bool,
    session: Option<SessionId>,
    /// The token that resumes its session.
    resume: Option<String>,
    /// Its connection was closed because its session was kicked. It tries once more to resume that session.
    refused: bool,
    welcomed: bool,
    rooms: BTreeMap<String, Seen>,
    /// In the order of their latest `room` frames.
    order: Vec<String>,
    next_id: u64,
    pending: BTreeMap<u64, Pending>,
    answered: BTreeSet<u64>,
    /// Ids that were answered on an earlier connection and used again on this one, as by a client that restarts its count.
    used_again: BTreeMap<u64, Time>,
    /// The ids among them that had no answer on their connection. A room that had not received the id may still answer, once.
    late: BTreeSet<u64>,
    /// The ids that had an answer when this connection began.
    settled: BTreeSet<u64>,
    connected_at: Time,
    /// When the latest frame arrived.
    seen_at: Time,
    asked: Option<(String, Time)>,
    pub ended: BTreeSet<String>,
    pub frames: usize,
    pub resumes: usize,
}

/// A token of this player, which the simulated edges check: its subject and its end.
fn token(number: usize, now: Time) -> String {
    format!("{number} {}", now.plus(DIALS.token).0)
}

#[derive(Debug, Default)]
struct Seen {
    seq: u64,
    kind: String,
    hits: u64,
    /// The bell has rung.
    rung: bool,
    /// The session was kicked: the room has nothing more for it.
    kicked: bool,
}

#[derive(Debug)]
struct Pending {
    text: String,
    since: Time,
}

/// A player's next action.
#[derive(Debug)]
pub enum Wish {
    Say(String),
    /// Its connection has not answered for too long.
    GoAnotherWay,
    Wait,
}

impl Player {
    pub fn new(number: usize) -> Player {
        Player { number, has_account: number.is_multiple_of(2), needs_token: true, ..Player::default() }
    }

    pub fn hello(&mut self, now: Time) -> String {
        self.connected_at = now;
        self.welcomed = false;
        let mut hello = json!({ "t": "hello", "name": "Ana" });
        if self.has_account && self.needs_token {
            hello["token"] = json!(token(self.number, now));
        }
        // Every second `hello` relies on the session's own token.
        self.needs_token = !self.needs_token;
        self.has_account = true;
        if let Some(session) = &self.resume {
            let last: BTreeMap<&String, u64> = self.order.iter().map(|room| (room, self.rooms[room].seq)).collect();
            hello["resume"] = json!(session);
            hello["last"] = json!(last);
        }
        hello.to_string()
    }

    /// Its token has ended, or it has sent none with a session whose token has ended.
    pub fn on_unauthorized(&mut self) {
        self.needs_token = true;
    }

    /// Its connection was closed because its session was kicked. After the second time it begins a session.
    pub fn on_refused(&mut self) {
        if std::mem::replace(&mut self.refused, true) {
            self.begin_again();
        }
    }

    fn begin_again(&mut self) {
        let (ended, frames, resumes) = (std::mem::take(&mut self.ended), self.frames, self.resumes);
        *self = Player { ended, frames, resumes, next_id: self.next_id, ..Player::new(self.number) };
    }

    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Handles a frame. Returns the frames to send in response, or the violation. `is_kicked`: a room has kicked its session.
    pub fn sees(&mut self, text: &str, is_kicked: bool, now: Time) -> Result<Vec<String>, String> {
        self.frames += 1;
        let frame: Value = serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
        let kind = frame["t"].as_str().unwrap_or_default();
        if kind == "expiring" {
            return Ok(vec![json!({ "t": "renew", "token": token(self.number, now) }).to_string()]);
        }
        if kind == "welcome" {
            let answers = self.welcome(&frame, is_kicked, now);
            self.seen_at = now;
            return answers;
        }
        self.seen_at = now;
        if let (Some(room), Some(seq)) = (frame["room"].as_str(), frame["seq"].as_u64()) {
            self.count(room, seq, kind, text)?;
        }
        if let ("reply" | "error", Some(id)) = (kind, frame["id"].as_u64()) {
            self.answer(id, text)?;
        }
        self.look(&frame, kind);
        Ok(Vec::new())
    }

    /// Each message has exactly one answer, and so has an id that is used again.
    fn answer(&mut self, id: u64, text: &str) -> Result<(), String> {
        if self.used_again.remove(&id).is_some() || self.late.remove(&id) {
            // The answer may be a reply too: the room may be another one, which gets this id for the first time.
            return Ok(());
        }
        self.pending.remove(&id);
        if self.answered.insert(id) { Ok(()) } else { Err(format!("a second answer: {text}")) }
    }

    fn welcome(&mut self, frame: &Value, is_kicked: bool, now: Time) -> Result<Vec<String>, String> {
        let recovered = frame["recovered"] == json!(true);
        if recovered && self.refused {
            return Err("its session was kicked, and resumes".to_owned());
        }
        if self.resume.is_some() && !recovered {
            let may_expire = now.since(self.seen_at) > DIALS.session_expiry - LATE_MS;
            if !is_kicked && !may_expire {
                return Err("its session is lost".to_owned());
            }
            // It has expired: since the kick, or since no edge was reachable.
            self.begin_again();
        }
        self.session = frame["session"].as_str().and_then(|session| session.parse().ok());
        self.resumes += usize::from(recovered);
        self.welcomed = true;
        self.resume = frame["resume"].as_str().map(str::to_owned);
        for pending in self.pending.values_mut() {
            pending.since = now;
        }
        self.settled = self.answered.clone();
        self.late.extend(std::mem::take(&mut self.used_again).into_keys());
        Ok(self.pending.values().map(|pending| pending.text.clone()).collect())
    }

    /// A message to the present room under an id that was answered: the lowest one, as from a client that has lost its count.
    /// It is not an id that was answered on this connection, since that may be the answer to a resent message.
    fn say_again(&mut self, room: &str, now: Time) -> Option<String> {
        let id = *self.settled.first()?;
        self.settled.clear();
        self.used_again.insert(id, now);
        Some(json!({ "t": "msg", "id": id, "room": room, "type": "hit", "data": null }).to_string())
    }

    fn count(&mut self, room: &str, seq: u64, kind: &str, text: &str) -> Result<(), String> {
        let last = self.rooms.get(room).map_or(0, |seen| seen.seq);
        let fits = if kind == "room" { seq > last } else { seq == last + 1 };
        if !fits {
            return Err(format!("after {last} comes {text}"));
        }
        let seen = self.rooms.entry(room.to_owned()).or_default();
        if seen.kicked {
            return Err(format!("after a kick comes {text}"));
        }
        seen.seq = seq;
        Ok(())
    }

    fn look(&mut self, frame: &Value, kind: &str) {
        let Some(room) = frame["room"].as_str() else { return };
        let Some(seen) = self.rooms.get_mut(room) else { return };
        match kind {
            "room" => {
                seen.kind = frame["kind"].as_str().unwrap_or_default().to_owned();
                seen.hits = frame["view"]["hits"].as_u64().unwrap_or(0);
                seen.rung = frame["view"]["rung"] == json!(true);
                self.order.retain(|other| other != room);
                self.order.push(room.to_owned());
            }
            "event" if frame["type"] == "bell" => seen.rung = true,
            "event" if frame["type"] == "hits" => seen.hits = frame["data"].as_u64().unwrap_or(0),
            "left" => {
                seen.kicked = frame["reason"] == "kicked";
                // Its number is kept: a later stay continues above it.
                self.order.retain(|other| other != room);
            }
            _ => {}
        }
        if seen.kind == "game" && seen.hits >= HITS {
            self.ended.insert(room.to_owned());
        }
    }

    /// Whether it is in the lobby, with no answer pending.
    pub fn is_home(&self) -> bool {
        !self.refused
            && self.pending.is_empty()
            && self.used_again.is_empty()
            && self.here().is_some_and(|room| *room == RoomId::LOBBY.to_string())
    }

    fn here(&self) -> Option<&String> {
        self.order.last()
    }

    /// The player's next action. `plays`: it starts another game.
    pub fn wish(&mut self, plays: bool, now: Time) -> Wish {
        let oldest = self.pending.values().map(|pending| pending.since).chain(self.used_again.values().copied()).min();
        let waits_since = if self.welcomed { oldest } else { Some(self.connected_at) };
        if waits_since.is_some_and(|since| now.since(since) > PATIENCE_MS) {
            return Wish::GoAnotherWay;
        }
        if !self.welcomed || !self.pending.is_empty() || !self.used_again.is_empty() {
            return Wish::Wait;
        }
        let Some(room) = self.here().cloned() else { return Wish::Wait };
        if let Some(text) = self.say_again(&room, now) {
            return Wish::Say(text);
        }
        let seen = &self.rooms[&room];
        let what = match seen.kind.as_str() {
            "lobby" if plays => "find",
            "lobby" => return Wish::Wait,
            _ if seen.hits == HITS_BEFORE_BELL && !seen.rung => return Wish::Wait,
            _ if seen.hits < HITS => "hit",
            _ => "leave",
        };
        let again = |(asked, since): &(String, Time)| asked != &room || now.since(*since) > ASK_AGAIN_MS;
        if what != "hit" && !self.asked.as_ref().is_none_or(again) {
            return Wish::Wait;
        }
        self.asked = Some((room.clone(), now));
        self.say(room, what, now)
    }

    /// A request beside the game's: to have another member of the present room kicked, or to sit down or stand up there.
    pub fn ask(&mut self, what: &str, now: Time) -> Option<Wish> {
        let room = self.here().filter(|_| self.welcomed && self.pending.is_empty())?.clone();
        Some(self.say(room, what, now))
    }

    fn say(&mut self, room: String, what: &str, now: Time) -> Wish {
        self.next_id += 1;
        let text = json!({ "t": "msg", "id": self.next_id, "room": room, "type": what, "data": null }).to_string();
        self.pending.insert(self.next_id, Pending { text: text.clone(), since: now });
        Wish::Say(text)
    }

    pub fn messages(&self) -> u64 {
        self.next_id
    }

    /// A description of where the player is, for the report of a run without progress.
    pub fn place(&self) -> String {
        let seen = self.here().and_then(|room| self.rooms.get(room));
        format!(
            "in {:?} ({seen:?}), waiting for answers to {:?}",
            self.here(),
            self.pending.values().collect::<Vec<_>>()
        )
    }
}
