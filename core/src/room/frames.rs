//! What members see: numbering, delivering, keeping and resending frames.
//!
//! A member's frames are numbered without a gap, whether it is connected or not; the ring keeps the last of them, so
//! that whoever comes back in time gets just what it missed. It is one ring for the room: which entry is which number
//! of a member follows from counting back those that were for it.

use super::{Room, State, Turn, state::RingEntry, state::To};
use crate::{
    command::{EdgeCommand, Target},
    diff,
    frame::RoomFrame,
    ids::{MachineId, SessionId},
    json::Json,
};

/// Frames that a room keeps for members that come back. Beyond it they get a whole view instead.
pub const RING_FRAMES: usize = 256;

/// Bytes of frames that a room keeps, likewise.
pub const RING_BYTES: usize = 64 * 1024;

/// How far the numbers jump when the log takes something back: further than a host that did not fail can have counted
/// until it read of it, since by then the one that failed has written it down.
pub(super) const RESYNC_JUMP: u64 = 10_000;

/// How far a client may honestly be ahead of the room: by the frames of a log's end that a power cut took, which are those
/// of some tenths of a second. Whoever claims more is not believed: a seat's numbers are taken up by later seats, and one
/// that begins near the end of what clients can count would spoil them for everybody.
const MOST_AHEAD: u64 = 1 << 20;

impl Room {
    /// Numbers a frame for each of its members, keeps it, and sends it to those that are connected.
    pub(super) fn deliver(&mut self, turn: &mut Turn, frame: RoomFrame, to: To) {
        let Some(state) = &mut self.state else { return };
        let targets = state.number_targets(&to);
        if targets.is_empty() && !state.has_any(&to) {
            return;
        }
        state.keep(RingEntry { frame: frame.clone(), to });
        for (edge, targets) in targets {
            turn.edge(&edge, EdgeCommand::Deliver { room: self.id, targets, frame: frame.clone() });
        }
    }

    /// The frame that makes one view of another. Members mostly see the same, and so do all spectators: views that were
    /// compared for one member are not compared again for the next.
    pub(super) fn patch(&self, turn: &mut Turn, old: Json, new: Json) -> RoomFrame {
        let views = (old, new);
        if let Some(frame) = turn.patches.get(&views) {
            return frame.clone();
        }
        let frame = RoomFrame::patch(self.id, &diff::compare(&views.0, &views.1).ops);
        turn.patches.insert(views, frame.clone());
        frame
    }

    /// The member's whole view as its next frame.
    pub(super) fn send_whole_view(&mut self, turn: &mut Turn, session: SessionId) {
        let Some(state) = &self.state else { return };
        let Some(member) = state.members.get(&session) else { return };
        let frame = RoomFrame::room(self.id, &state.kind, member.last_client_seq, &state.view_of(session));
        self.deliver(turn, frame, To::One(session));
    }

    /// Brings a member that has come back up to date: what it missed, or its whole view.
    pub(super) fn resume(&mut self, turn: &mut Turn, session: SessionId, last_seq: Option<u64>) {
        let Some(state) = &mut self.state else { return };
        let missed = last_seq.and_then(|last| state.missed(session, last));
        let Some(member) = state.members.get_mut(&session) else { return };
        let last_seq = last_seq.filter(|last| *last <= member.out_seq + MOST_AHEAD);
        let Some(missed) = missed else {
            // A client that has seen more than we know of (a log that lost its end) must not take the view for old.
            member.out_seq = member.out_seq.max(last_seq.unwrap_or(0));
            member.first_seq = member.out_seq + 1;
            return self.send_whole_view(turn, session);
        };
        let (edge, connection) = (member.edge.clone(), member.question.connection);
        let first = member.out_seq + 1 - missed.len() as u64;
        for (seq, frame) in (first..).zip(missed) {
            let targets = vec![Target { session, connection, seq }];
            turn.edge(&edge, EdgeCommand::Deliver { room: self.id, targets, frame });
        }
    }

    /// The answers to all messages that were applied are in the frames that the member has now: whatever else waits for one
    /// at its edge gets none.
    pub(super) fn end_resume(&self, turn: &mut Turn, session: SessionId) {
        let Some(member) = self.state.as_ref().and_then(|state| state.members.get(&session)) else { return };
        let (question, applied) = (member.question, member.last_client_seq);
        turn.edge(&member.edge, EdgeCommand::Resumed { session, question, room: self.id, applied });
    }

    /// The whole view under a number that nobody can have seen.
    pub(super) fn resync(&mut self, turn: &mut Turn, session: SessionId) {
        let Some(state) = &mut self.state else { return };
        let floor = state.seq_floor;
        let Some(member) = state.members.get_mut(&session) else { return };
        member.out_seq = member.out_seq.max(floor) + RESYNC_JUMP;
        member.first_seq = member.out_seq + 1;
        self.send_whole_view(turn, session);
    }
}

impl State {
    /// Gives the next number of each member that the frame is for. Those that are connected, by edge.
    fn number_targets(&mut self, to: &To) -> Vec<(MachineId, Vec<Target>)> {
        let mut by_edge: Vec<(MachineId, Vec<Target>)> = Vec::new();
        let mut add = |session: SessionId, member: &mut super::Member| {
            member.out_seq += 1;
            if !member.connected {
                return;
            }
            let target = Target { session, connection: member.question.connection, seq: member.out_seq };
            match by_edge.iter_mut().find(|(edge, _)| *edge == member.edge) {
                Some((_, targets)) => targets.push(target),
                None => by_edge.push((member.edge.clone(), vec![target])),
            }
        };
        match to {
            To::One(session) => {
                if let Some(member) = self.members.get_mut(session) {
                    add(*session, member);
                }
            }
            To::Except(except) => {
                for (session, member) in &mut self.members {
                    if !except.contains(session) {
                        add(*session, member);
                    }
                }
            }
        }
        by_edge
    }

    fn has_any(&self, to: &To) -> bool {
        match to {
            To::One(session) => self.members.contains_key(session),
            To::Except(except) => self.members.keys().any(|session| !except.contains(session)),
        }
    }

    fn keep(&mut self, entry: RingEntry) {
        self.ring_bytes += entry.frame.size();
        self.ring.push_back(entry);
        while self.ring.len() > RING_FRAMES || self.ring_bytes > RING_BYTES {
            let Some(oldest) = self.ring.pop_front() else { return };
            self.ring_bytes -= oldest.frame.size();
        }
    }

    /// The frames after `last` for this member, if all of them are still kept.
    fn missed(&self, session: SessionId, last: u64) -> Option<Vec<RoomFrame>> {
        let member = self.members.get(&session)?;
        let count = member.out_seq.checked_sub(last)?;
        if last + 1 < member.first_seq {
            return None;
        }
        let newest_first = self.ring.iter().rev().filter(|entry| entry.to.includes(session));
        let mut frames: Vec<RoomFrame> =
            newest_first.take(usize::try_from(count).ok()?).map(|entry| entry.frame.clone()).collect();
        frames.reverse();
        (frames.len() as u64 == count).then_some(frames)
    }
}
