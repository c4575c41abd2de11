//! Histories of players, true and false.

use chorus_core::ids::SessionId;
use serde_json::{Value, json};

use super::{
    super::{
        history::{Event, ExactJson, RoomHistory, SessionHistory},
        history_check::check_history,
        reference::Replay,
        report::{Figures, Rule, Violation},
    },
    logs::ROOM,
};

/// Every player received every frame, and sent the messages in the channel.
pub fn honest(played: &Replay) -> RoomHistory {
    let mut history = RoomHistory::new();
    for session in played.sessions.keys() {
        let (kept, _) = timelines(played, *session);
        history.extend(of(played, *session, &kept));
    }
    history
}

/// The history of one session, with these frames.
pub fn of(played: &Replay, session: SessionId, frames: &[(u64, String)]) -> RoomHistory {
    let theirs =
        played.messages.iter().filter(|((whose, _), received)| *whose == session && !received.applied_at.is_empty());
    let mut events: Vec<Event> = Vec::new();
    for ((_, id), received) in theirs {
        events.push(sent(*id, &received.msg_type));
    }
    let parsed = frames.iter().map(|(seq, text)| Event::Frame { seq: *seq, frame: ExactJson::parse(text).unwrap() });
    events.extend(parsed);
    RoomHistory::from([(session, SessionHistory { player: "somebody".into(), events })])
}

/// Frames with their numbers.
pub type Frames = Vec<(u64, String)>;

/// The frames from a host with the whole log, and those from a host that read the fault later.
pub fn timelines(played: &Replay, session: SessionId) -> (Frames, Frames) {
    let (mut kept, mut back) = (Vec::new(), Vec::new());
    for (seq, frames) in &played.sessions[&session].frames {
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

pub fn sent(id: u64, msg_type: &str) -> Event {
    let data = if msg_type == "say" { json!(5) } else { Value::Null };
    Event::Sent { id, msg_type: msg_type.into(), data: seen(data) }
}

pub fn applied(id: u64) -> Event {
    Event::Edge { id, frame: seen(json!({"t": "error", "id": id, "code": "applied"})) }
}

pub fn frame(frame: Value) -> Event {
    Event::Frame { seq: frame["seq"].as_u64().unwrap(), frame: seen(frame) }
}

pub fn last(events: &[Event]) -> u64 {
    let seqs = events.iter().filter_map(|event| match event {
        Event::Frame { seq, .. } => Some(*seq),
        _ => None,
    });
    seqs.max().unwrap()
}

pub fn set(event: &mut Event, key: &str, value: Value) {
    let Event::Frame { frame, .. } = event else { panic!("no frame: {event:?}") };
    let mut changed = Value::clone(frame);
    changed[key] = value;
    *frame = seen(changed);
}

pub fn seen(value: Value) -> ExactJson {
    ExactJson::parse(&value.to_string()).unwrap()
}

pub fn found(played: &Replay, history: &RoomHistory) -> Vec<Rule> {
    let mut violations: Vec<Violation> = played.violations.clone();
    check_history(ROOM, played, history, &mut Figures::default(), &mut violations);
    violations.into_iter().map(|found| found.rule).collect()
}
