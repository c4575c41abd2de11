//! The frames that players received and sent, room by room: `{ players: [{ name, frames: [{ out, frame }] }] }`, each frame
//! whole, in the order of arrival or departure. The torture's players write it (`chorus/tests/torture/player.mjs`).

use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
    path::Path,
};

use anyhow::Context as _;
use chorus_core::ids::{RoomId, SessionId};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// The whole history.
#[derive(Debug, Default)]
pub struct History {
    pub sessions: u64,
    pub rooms: HashMap<RoomId, RoomHistory>,
}

/// The history of one room's players.
pub type RoomHistory = BTreeMap<SessionId, SessionHistory>;

/// The frames that one session received from one room, and its messages to it.
#[derive(Debug, Default)]
pub struct SessionHistory {
    pub player: String,
    pub events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A message, possibly sent before.
    Sent { id: u64, msg_type: String, data: ExactJson },
    /// A frame from the room.
    Frame { seq: u64, frame: ExactJson },
    /// An answer to a message without a room's number: the edge's own.
    Edge { id: u64, frame: ExactJson },
}

/// JSON with the player's digits and order, and its parsed value.
#[derive(Debug, Clone)]
pub struct ExactJson {
    text: Box<str>,
    value: Value,
}

impl ExactJson {
    pub fn parse(text: &str) -> Result<ExactJson, serde_json::Error> {
        Ok(ExactJson { value: serde_json::from_str(text)?, text: text.into() })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// One of its fields; `null` if it is missing.
    fn field(&self, name: &str) -> ExactJson {
        let fields: BTreeMap<Box<str>, &RawValue> = serde_json::from_str(&self.text).unwrap_or_default();
        let text = fields.get(name).map_or("null", |field| field.get());
        ExactJson { text: text.into(), value: self.value.get(name).cloned().unwrap_or_default() }
    }
}

impl Deref for ExactJson {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.value
    }
}

impl PartialEq for ExactJson {
    fn eq(&self, other: &ExactJson) -> bool {
        self.text == other.text
    }
}

impl<'de> Deserialize<'de> for ExactJson {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<ExactJson, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        ExactJson::parse(raw.get()).map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Deserialize)]
struct HistoryFile {
    players: Vec<Player>,
}

#[derive(Debug, Deserialize)]
struct Player {
    name: String,
    frames: Vec<Frame>,
}

#[derive(Debug, Deserialize)]
struct Frame {
    #[serde(default)]
    out: bool,
    frame: ExactJson,
}

/// The state of one player's session while its frames are read.
#[derive(Debug, Default)]
struct Reader {
    session: Option<SessionId>,
    /// The rooms to which messages were sent, by the messages' ids.
    sent: HashMap<u64, RoomId>,
    /// The room of the latest `room` frame: the destination of messages that name none.
    current: Option<RoomId>,
}

impl History {
    pub fn read(file: &Path) -> anyhow::Result<History> {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        History::parse(&text).with_context(|| format!("{} is no history of players", file.display()))
    }

    pub fn parse(text: &str) -> anyhow::Result<History> {
        let HistoryFile { players } = serde_json::from_str(text)?;
        let mut history = History::default();
        for Player { name, frames } in players {
            let mut reader = Reader::default();
            for Frame { out, frame } in frames {
                history.take(&name, &mut reader, out, frame);
            }
        }
        Ok(history)
    }

    fn take(&mut self, player: &str, reader: &mut Reader, out: bool, frame: ExactJson) {
        let tag = frame["t"].as_str().unwrap_or_default();
        if tag == "welcome" {
            return self.welcome(reader, &frame);
        }
        let Some(session) = reader.session else { return };
        let id = frame["id"].as_u64();
        let named: Option<RoomId> = frame["room"].as_str().and_then(|room| room.parse().ok());
        let (room, event) = match (out, tag, id, frame["seq"].as_u64()) {
            (true, "msg", Some(id), _) => {
                let Some(room) = named.or(reader.current) else { return };
                reader.sent.insert(id, room);
                let msg_type = frame["type"].as_str().unwrap_or_default().to_owned();
                (room, Event::Sent { id, msg_type, data: frame.field("data") })
            }
            (false, _, _, Some(seq)) => {
                let Some(room) = named else { return };
                if tag == "room" {
                    reader.current = Some(room);
                }
                (room, Event::Frame { seq, frame })
            }
            (false, "reply" | "error", Some(id), None) => {
                let Some(room) = reader.sent.get(&id) else { return };
                (*room, Event::Edge { id, frame })
            }
            _ => return,
        };
        let stay = self.rooms.entry(room).or_default().entry(session).or_default();
        stay.player = player.to_owned();
        stay.events.push(event);
    }

    /// Ids belong to a session: a new session starts again.
    fn welcome(&mut self, reader: &mut Reader, frame: &Value) {
        let session = frame["session"].as_str().and_then(|session| session.parse().ok());
        if session != reader.session {
            *reader = Reader { session, ..Reader::default() };
            self.sessions += 1;
        }
    }
}
