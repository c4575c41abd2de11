//! The result of one room's replay: what its players, its store and other rooms must agree with.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chorus_core::{
    command::{OutputRef, RoomCommand},
    frame::RoomFrame,
    ids::{Kind, Offset, RoomId, RoomSecret, SessionId},
    json::Json,
};

use super::report::{At, Rule, Violation};

/// The effects of a room's channel.
#[derive(Debug, Default)]
pub struct Replay {
    /// The last record that could not be replayed.
    pub starts_after: Option<Offset>,
    /// Frames up to this number may have been sent to any session before the replay.
    pub sent_before: u64,
    pub sessions: HashMap<SessionId, SessionFrames>,
    /// Messages in the channel, by their sessions and ids.
    pub messages: HashMap<(SessionId, u64), ChannelMessage>,
    /// Its outputs for other rooms' channels.
    pub outgoing: Vec<Outgoing>,
    /// Its states after the requested records.
    pub states: BTreeMap<Offset, Arc<[u8]>>,
    pub created: Option<Offset>,
    pub ended: Option<Offset>,
    /// Its script failed at this record, and no later record has the result: no host has applied any record after this one.
    pub stuck_at: Option<Offset>,
    /// Guarantees that the machine itself has broken.
    pub violations: Vec<Violation>,
}

/// The frames for one session.
#[derive(Debug, Default)]
pub struct SessionFrames {
    /// Frames up to this number were sent to it before the replay began.
    pub sent_before: u64,
    /// By number. Several, where the log has taken some back.
    pub frames: BTreeMap<u64, Vec<Frame>>,
    /// Records at which the room removed the session.
    pub removed_at: Vec<Offset>,
}

/// A frame, the first record that caused it, and the `Fault` that took it back.
#[derive(Clone, Debug)]
pub struct Frame {
    pub frame: RoomFrame,
    pub offset: Offset,
    pub taken_back: Option<Offset>,
}

/// One message in the channel.
#[derive(Debug)]
pub struct ChannelMessage {
    pub msg_type: Arc<str>,
    pub data: Json,
    /// Its records.
    pub offsets: Vec<Offset>,
    /// Those of them that the room applied.
    pub applied_at: Vec<Offset>,
}

/// An output of a record for another room's channel.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub offset: Offset,
    pub message: OutgoingMessage,
}

#[derive(Clone, Debug)]
pub enum OutgoingMessage {
    Append { to: RoomId, command: RoomCommand },
    Create { room: RoomId, kind: Kind, options: Json, source: OutputRef, secret: RoomSecret, allowance: u32 },
}

impl Replay {
    /// Adds the frames of an earlier timeline, which was valid until the `Fault` at `until`.
    pub fn add_taken_back(&mut self, id: RoomId, earlier: Replay, until: Offset) {
        for (session, frames) in earlier.sessions {
            let ours = self.sessions.entry(session).or_default();
            ours.removed_at.extend(frames.removed_at);
            for (seq, frames) in frames.frames {
                let known = ours.frames.entry(seq).or_default();
                for Frame { frame, offset, .. } in frames {
                    if known.iter().any(|known| known.frame == frame) {
                        continue;
                    }
                    if let Some(again) = known.iter().find(|known| known.taken_back.is_none() && known.offset >= until)
                    {
                        self.violations.push(Violation {
                            session: Some(session),
                            at: Some(At::Seq(seq)),
                            what: format!("the record at {} uses it again, and what it stood for was taken back before, at {until}", again.offset),
                            ..Violation::of(Rule::NumberTwice, id)
                        });
                    }
                    known.push(Frame { frame, offset, taken_back: Some(until) });
                }
            }
        }
        // Its outputs for other rooms may have been delivered.
        self.outgoing.extend(earlier.outgoing.into_iter().map(|sent| Outgoing { offset: Offset::MAX, ..sent }));
        self.violations.extend(earlier.violations);
    }
}
