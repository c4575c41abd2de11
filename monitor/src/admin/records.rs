//! A record for operators, as JSON: its offset, its time, its command, and the fields of that.

use std::collections::BTreeMap;

use chorus_core::{
    command::{Answer as RoomAnswer, Joining, OutputRef, Record, RoomCommand, RoomData},
    ids::{Offset, OutputId},
    json::Json,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::failures::Failure;

const SURE: &str = "names and texts of ours are always JSON";

/// A record for people, as JSON. `content`: with the players' texts, to the last digit and in their order.
pub(super) fn describe(offset: Offset, record: &Record, content: bool, failure: Option<&Failure>) -> String {
    let mut fields = Fields { map: BTreeMap::new(), content };
    fields.put("offset", offset);
    fields.put("time", record.time.0);
    fields.command(&record.command);
    if let Some(Failure { handler, at, text }) = failure {
        if let Some(handler) = handler {
            fields.put("handler", handler);
        }
        if let Some(at) = at {
            fields.put("at", at);
        }
        let name = if matches!(record.command, RoomCommand::Close { .. }) { "reason" } else { "text" };
        fields.text(name, text);
    }
    serde_json::to_string(&fields.map).expect(SURE)
}

/// A record as the API shows it, with the players' texts.
pub fn described(offset: Offset, record: &Record) -> Box<RawValue> {
    RawValue::from_string(describe(offset, record, true, None)).expect(SURE)
}

struct Fields {
    map: BTreeMap<&'static str, Box<RawValue>>,
    content: bool,
}

impl Fields {
    fn command(&mut self, command: &RoomCommand) {
        match command {
            RoomCommand::Create { kind, component, options, creator, secret: _, allowance } => {
                self.named("create").put("kind", kind.as_str()).put("component", component.to_string());
                self.source("creator", creator).put("allowance", *allowance).json("options", options);
            }
            RoomCommand::Join(Joining { session, player, claims: _, edge, request: _, message_id, options, from }) => {
                self.named("join").put("session", session.to_string()).put("player", &*player.id);
                self.put("edge", edge.to_string()).put("message_id", *message_id).source("from", from);
                self.text("name", &player.name).json("options", options);
            }
            RoomCommand::Message { session, message_id, msg_type, data } => {
                self.named("message").put("session", session.to_string()).put("message_id", *message_id);
                self.put("bytes", data.len()).text("type", msg_type).json("data", data);
            }
            RoomCommand::Drop { session, edge, code } => {
                self.named("drop").put("session", session.to_string()).put("edge", edge.to_string()).put("code", *code);
            }
            RoomCommand::Reconnect { session, edge, request: _, last_seq } => {
                self.named("reconnect").put("session", session.to_string()).put("edge", edge.to_string());
                self.put("last_seq", *last_seq);
            }
            RoomCommand::Leave { session, reason } => {
                self.named("leave").put("session", session.to_string()).put("reason", reason.as_str());
            }
            RoomCommand::Timer { id, name } => {
                self.named("timer").number("id", id).put("name", name.as_deref());
            }
            RoomCommand::RoomMessage { from, number, data } => {
                self.named("room-message").put("from", from.to_string()).number("number", number).room_data(data);
            }
            RoomCommand::Answer { request, answer } => {
                self.named("answer").number("request", request).answer(answer);
            }
            RoomCommand::Swap { component, rollout } => {
                self.named("swap").put("component", component.to_string()).put("rollout", rollout.as_deref());
            }
            RoomCommand::Fault { at, fault } => {
                self.named("fault").put("of", at.offset).put("fault", fault.as_str()).text("text", &fault.to_string());
            }
            RoomCommand::Close { reason } => {
                self.named("close").text("reason", reason);
            }
            RoomCommand::Threw { at, text } => {
                self.named("threw").put("of", at.offset).text("text", text);
            }
            RoomCommand::Identify { session, was, player, claims: _ } => {
                self.named("identify")
                    .put("session", session.to_string())
                    .put("was", &**was)
                    .put("player", &*player.id);
                self.text("name", &player.name);
            }
            RoomCommand::Erase { player } => {
                self.named("erase").put("player", &**player);
            }
            RoomCommand::Tick { number, inputs } => {
                self.named("tick").put("number", *number).put("inputs", inputs.len());
            }
        }
    }

    fn room_data(&mut self, data: &RoomData) {
        match data {
            RoomData::Message(data) => self.put("bytes", data.len()).json("data", data),
            RoomData::Ended { outcome, failed } => {
                self.put("ended", true).put("failed", failed.is_some()).json("outcome", outcome);
                self.text("reason", failed.as_deref().unwrap_or_default())
            }
        };
    }

    fn answer(&mut self, answer: &RoomAnswer) {
        match answer {
            RoomAnswer::MoveRefused { session, room, reason } => self
                .put("refused", "move")
                .put("session", session.to_string())
                .put("room", room.to_string())
                .text("reason", reason),
            RoomAnswer::CreateFailed { room, reason } => {
                self.put("refused", "create").put("room", room.to_string()).text("reason", reason)
            }
            RoomAnswer::Result(Ok(data)) => self.put("bytes", data.len()).json("data", data),
            RoomAnswer::Result(Err(reason)) => self.put("refused", "request").text("reason", reason),
        };
    }

    fn named(&mut self, command: &'static str) -> &mut Fields {
        self.put("command", command)
    }

    fn put(&mut self, name: &'static str, value: impl Serialize) -> &mut Fields {
        self.map.insert(name, to_raw_value(&value).expect(SURE));
        self
    }

    fn number(&mut self, name: &'static str, number: &OutputId) -> &mut Fields {
        self.put(name, format!("{}.{}", number.offset, number.index))
    }

    fn source(&mut self, name: &'static str, source: &Option<OutputRef>) -> &mut Fields {
        let source = source.map(|OutputRef { room, number }| format!("{room} {}.{}", number.offset, number.index));
        self.put(name, source)
    }

    /// A text that a player or a script may have written.
    fn text(&mut self, name: &'static str, text: &str) -> &mut Fields {
        if self.content {
            self.put(name, text);
        }
        self
    }

    fn json(&mut self, name: &'static str, json: &Json) -> &mut Fields {
        if self.content {
            self.put(name, RawValue::from_string(json.as_str().to_owned()).ok());
        }
        self
    }
}
