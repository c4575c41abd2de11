//! What the inspector shows of a room, as JSON: its state, and what it did on a record.
//!
//! Bounds: an event has about [`STATE_BYTES`] or [`OUTPUT_BYTES`] of values; a value beyond them is replaced by its size,
//! `{"$bytes": 123456}`. Members, timers, outputs and receivers beyond their bounds are counted.

use chorus_core::{
    command::{EdgeCommand, Record, RoomCommand},
    effect::{Effect, LogLevel},
    frame::RoomFrame,
    ids::{Offset, RoomId, SessionId, Time},
    json::Json,
    room::{Notice, Output, State},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Bytes of values in one event of a state. A browser shows a tree of this size in an instant.
const STATE_BYTES: usize = 1 << 20;
/// Bytes of values in the outputs of one record, and in the record.
const OUTPUT_BYTES: usize = 128 * 1024;
const MEMBERS: usize = 200;
const TIMERS: usize = 100;
const OUTPUTS: usize = 64;
/// Receivers of one frame.
const RECEIVERS: usize = 16;

const SURE: &str = "numbers, names and JSON are always JSON";

/// How many bytes of values an event still takes.
#[derive(Debug)]
struct Space(usize);

impl Space {
    fn show(&mut self, json: &Json) -> Option<Box<RawValue>> {
        self.take(json.as_str())
    }

    fn take(&mut self, json: &str) -> Option<Box<RawValue>> {
        if json.len() > self.0 {
            return to_raw_value(&serde_json::json!({ "$bytes": json.len() })).ok();
        }
        self.0 -= json.len();
        RawValue::from_string(json.to_owned()).ok()
    }

    fn text(&mut self, text: &str) -> String {
        let kept: String = text.chars().take(self.0.min(text.len())).collect();
        self.0 -= self.0.min(kept.len());
        if kept.len() < text.len() { format!("{kept}… ({} bytes)", text.len()) } else { kept }
    }
}

#[derive(Serialize)]
struct StateShown<'a> {
    offset: Offset,
    clock: u64,
    kind: &'a str,
    component: String,
    created: u64,
    locked: bool,
    faults: u32,
    /// The types of message that the script handles.
    messages: Vec<&'a str>,
    /// The copy waits for a record that the room's host has not written yet.
    waits: bool,
    state_version: Option<u32>,
    state: Option<Box<RawValue>>,
    metadata: Option<Box<RawValue>>,
    /// Of the members that have none of their own.
    view: Option<Box<RawValue>>,
    members: Vec<MemberShown<'a>>,
    more_members: usize,
    timers: Vec<TimerShown<'a>>,
}

#[derive(Serialize)]
struct MemberShown<'a> {
    session: String,
    player: &'a str,
    name: &'a str,
    connected: bool,
    spectator: bool,
    /// `None`: the room's.
    view: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct TimerShown<'a> {
    name: &'a str,
    due: u64,
    payload: Option<Box<RawValue>>,
}

pub fn state(state: &State, waits: bool) -> String {
    let mut space = Space(STATE_BYTES);
    let saved = state.saved.as_ref();
    let mut members: Vec<_> = state.members.iter().collect();
    members.sort_unstable_by_key(|(_, member)| member.joined);
    let shown = StateShown {
        offset: state.offset,
        clock: state.clock.0,
        kind: state.kind.as_str(),
        component: state.component.to_string(),
        created: state.created.0,
        locked: state.locked,
        faults: state.faults,
        messages: state.spec.iter().flat_map(|spec| spec.messages.iter().map(|name| &**name)).collect(),
        waits,
        state_version: saved.map(|saved| saved.version),
        state: saved.and_then(|saved| space.show(&saved.state)),
        metadata: state.metadata.as_ref().and_then(|json| space.show(json)),
        view: state.view.as_ref().and_then(|json| space.show(json)),
        more_members: members.len().saturating_sub(MEMBERS),
        members: members
            .into_iter()
            .take(MEMBERS)
            .map(|(session, member)| MemberShown {
                session: session.to_string(),
                player: &member.player.id,
                name: &member.player.name,
                connected: member.connected,
                spectator: member.spectator,
                view: member.view.as_ref().and_then(|json| space.show(json)),
            })
            .collect(),
        timers: state
            .timers
            .iter()
            .take(TIMERS)
            .map(|(name, timer)| TimerShown { name, due: timer.due.0, payload: space.show(&timer.payload) })
            .collect(),
    };
    serde_json::to_string(&shown).expect(SURE)
}

/// What a room did on one record.
#[derive(Debug)]
pub struct Outputs {
    rows: Vec<OutputShown>,
    /// Outputs beyond the bound.
    more: usize,
    space: Space,
    /// The frame that was added last, to which further receivers may be added.
    last: Option<RoomFrame>,
    pub has_ended: bool,
}

impl Default for Outputs {
    fn default() -> Outputs {
        Outputs { rows: Vec::new(), more: 0, space: Space(OUTPUT_BYTES), last: None, has_ended: false }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
enum OutputShown {
    /// A frame for members.
    Frame {
        to: Vec<String>,
        more: usize,
        frame: Option<Box<RawValue>>,
    },
    /// A line of the script's log.
    Log {
        level: &'static str,
        text: String,
    },
    /// A call of the script failed.
    Failed {
        handler: Option<String>,
        text: String,
        at: Option<String>,
    },
    /// A record for this room or another.
    Append {
        room: String,
        command: Box<RawValue>,
    },
    Create {
        room: String,
        kind: String,
    },
    /// Something else that reaches a member or the operator.
    Other {
        name: &'static str,
        session: Option<String>,
        text: Option<String>,
    },
    Ended {
        failed: Option<String>,
    },
}

#[derive(Serialize)]
struct RecordShown<'a> {
    record: Box<RawValue>,
    /// An author has sent it from an inspector.
    by_author: bool,
    outputs: &'a [OutputShown],
    more: usize,
}

impl Outputs {
    /// The record with these outputs, as JSON.
    pub fn with(mut self, offset: Offset, record: &Record) -> String {
        let described = chorus_monitor::described(offset, record);
        let record_shown = self.space.take(described.get()).unwrap_or(described);
        let by_author = match &record.command {
            RoomCommand::Message { message_id, .. } => *message_id == chorus_core::command::AUTHORS_MESSAGE,
            _ => false,
        };
        let shown = RecordShown { record: record_shown, by_author, outputs: &self.rows, more: self.more };
        serde_json::to_string(&shown).expect(SURE)
    }

    pub fn log(&mut self, level: LogLevel, text: &str) {
        let text = self.space.text(text);
        self.push(OutputShown::Log { level: name_of(level), text });
    }

    /// What a call had logged before it failed.
    pub fn log_before_failure(&mut self, effect: &Effect) {
        if let Effect::Log { level, text } = effect {
            self.log(*level, &format!("(before it failed) {text}"));
        }
    }

    pub fn notice(&mut self, notice: &Notice, readable: impl Fn(&str) -> String) {
        let (handler, text) = match notice {
            Notice::Threw { handler, text, .. } => (Some(handler), format!("threw {text}")),
            Notice::Faulted { handler, fault, .. } => (Some(handler), fault.to_string()),
            Notice::SwapRefused { reason, .. } => (None, format!("the swap was refused: {reason}")),
            Notice::SwapUndone { fault, .. } => (None, format!("the swap was undone: it {fault}")),
            Notice::RestartScheduled { failed, .. } => {
                (None, format!("it has ended, and restarts: {}", failed.as_deref().unwrap_or("no failure")))
            }
            Notice::Created { .. } | Notice::Swapped { .. } => return,
        };
        let text = readable(&text);
        let at = text.lines().find_map(|line| line.trim_start().strip_prefix("at ")).map(str::to_owned);
        let text = self.space.text(&text);
        self.push(OutputShown::Failed { handler: handler.map(|name| name.to_string()), text, at });
    }

    pub fn add(&mut self, offset: Offset, time: Time, output: &Output) {
        match output {
            Output::Edge(_, command) => self.edge(command),
            Output::Append(room, command) => {
                let record = Record { room: *room, time, command: command.clone() };
                let described = chorus_monitor::described(offset, &record);
                let command = self.space.take(described.get()).unwrap_or(described);
                self.push(OutputShown::Append { room: room.to_string(), command });
            }
            Output::Create { id, kind, .. } => {
                self.push(OutputShown::Create { room: id.to_string(), kind: kind.to_string() });
            }
            Output::Kick { session, reason } => self.other("kick", Some(*session), Some(reason)),
            Output::Perform { kind, data, .. } => {
                self.other("request", None, Some(&format!("{} {}", kind.as_str(), &**data)))
            }
            Output::Report(_) => self.other("report", None, None),
            Output::Ended { failed, .. } => {
                self.has_ended = true;
                self.push(OutputShown::Ended { failed: failed.as_deref().map(str::to_owned) });
            }
            Output::Guest(_) | Output::Snapshot { .. } | Output::Log { .. } | Output::Notice(_) => {}
        }
    }

    fn edge(&mut self, command: &EdgeCommand) {
        match command {
            EdgeCommand::Deliver(deliveries) => {
                for (target, frame) in deliveries.iter() {
                    self.frame(target.session, target.seq, frame);
                }
            }
            EdgeCommand::Move { session, room, .. } => self.other("move", Some(*session), Some(&room.to_string())),
            EdgeCommand::Left { session, reason, .. } => self.other("left", Some(*session), Some(reason.as_str())),
            EdgeCommand::Kick { session, reason, .. } => self.other("kick", Some(*session), Some(reason)),
            EdgeCommand::Admitted { session, .. } => self.other("admitted", Some(*session), None),
            EdgeCommand::Refused { session, reason, .. } => self.other("refused", Some(*session), Some(reason)),
            EdgeCommand::Replaced { session } => self.other("replaced", Some(*session), None),
            EdgeCommand::Resumed { session, .. } => self.other("resumed", Some(*session), None),
            EdgeCommand::Spent { .. } | EdgeCommand::End(_) => {}
        }
    }

    /// A frame for several members is shown once.
    fn frame(&mut self, session: SessionId, seq: u64, frame: &RoomFrame) {
        if self.last.as_ref().is_some_and(|last| last.is_shared_with(frame))
            && let Some(OutputShown::Frame { to, more, .. }) = self.rows.last_mut()
        {
            if to.len() < RECEIVERS {
                to.push(session.to_string())
            } else {
                *more += 1
            }
            return;
        }
        let shown = self.space.take(&frame.with_seq(seq));
        if self.push(OutputShown::Frame { to: vec![session.to_string()], more: 0, frame: shown }) {
            self.last = Some(frame.clone());
        }
    }

    fn other(&mut self, name: &'static str, session: Option<SessionId>, text: Option<&str>) {
        let text = text.map(|text| self.space.text(text));
        self.push(OutputShown::Other { name, session: session.map(|session| session.to_string()), text });
    }

    /// Returns whether there was space.
    fn push(&mut self, row: OutputShown) -> bool {
        self.last = None;
        let has_space = self.rows.len() < OUTPUTS;
        if has_space {
            self.rows.push(row)
        } else {
            self.more += 1
        }
        has_space
    }
}

fn name_of(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warning",
        LogLevel::Error => "error",
    }
}

/// The first event of a stream.
pub fn begin(room: RoomId, left_out: usize) -> String {
    serde_json::json!({ "room": room.to_string(), "left_out": left_out }).to_string()
}

#[cfg(test)]
mod tests {
    use chorus_core::command::{Deliveries, Target};
    use chorus_core::ids::{ConnectionId, MachineId};

    use super::*;

    fn message(message_id: u64, data: &str) -> Record {
        let (session, data) = (SessionId(7), Json::trusted(data));
        let command = RoomCommand::Message { session, message_id, msg_type: "say".into(), data };
        Record { room: RoomId(1), time: Time(5), command }
    }

    fn deliver(outputs: &mut Outputs, frame: &RoomFrame, sessions: u64) {
        let target =
            |session: u64| Target { session: SessionId(session.into()), connection: ConnectionId(1), seq: session };
        let mut deliveries = Deliveries::one(frame.clone(), target(1));
        (2..=sessions).for_each(|session| deliveries.add_target(target(session)));
        outputs.add(3, Time(5), &Output::Edge(MachineId("edge".into()), EdgeCommand::Deliver(deliveries)));
    }

    fn shown(outputs: Outputs, record: &Record) -> serde_json::Value {
        serde_json::from_str(&outputs.with(3, record)).expect("it is JSON")
    }

    #[test]
    fn a_record_is_shown_with_its_frames_each_once() {
        let mut outputs = Outputs::default();
        deliver(&mut outputs, &RoomFrame::event(RoomId(1), "hello", &Json::null()), 20);
        outputs.log(LogLevel::Warn, "a line");
        let shown = shown(outputs, &message(AUTHORS, "{\"a\":1}"));
        assert_eq!(shown["record"]["data"]["a"], 1);
        assert_eq!(shown["by_author"], true);
        assert_eq!(shown["outputs"][0]["to"].as_array().map(Vec::len), Some(RECEIVERS));
        assert_eq!(shown["outputs"][0]["more"], 4);
        assert_eq!(shown["outputs"][0]["frame"]["t"], "event");
        assert_eq!(shown["outputs"][1]["text"], "a line");
    }

    const AUTHORS: u64 = chorus_core::command::AUTHORS_MESSAGE;

    #[test]
    fn what_is_beyond_a_bound_is_counted_and_large_values_are_sizes() {
        let mut outputs = Outputs::default();
        let large = Json::of(&"x".repeat(OUTPUT_BYTES));
        deliver(&mut outputs, &RoomFrame::event(RoomId(1), "large", &large), 1);
        for _ in 0..OUTPUTS {
            deliver(&mut outputs, &RoomFrame::event(RoomId(1), "small", &Json::null()), 1);
        }
        let shown = shown(outputs, &message(4, "null"));
        assert_eq!(shown["outputs"].as_array().map(Vec::len), Some(OUTPUTS));
        assert_eq!(shown["more"], 1);
        assert!(shown["outputs"][0]["frame"]["$bytes"].as_u64().is_some_and(|bytes| bytes > OUTPUT_BYTES as u64));
        assert_eq!(shown["by_author"], false);
    }
}
