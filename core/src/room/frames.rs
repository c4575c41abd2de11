//! Members' frames: numbering, delivery, retention and resending.
//!
//! A member's frames are numbered without a gap, whether it is connected or not. The ring keeps the latest, so that a member
//! that reconnects in time gets exactly the frames that it missed. There is one ring for each room: the number that an entry
//! has for a member follows from counting the entries for that member backwards.

use super::{Room, State, Step, state::RingEntry, state::To};
use crate::{
    command::{EdgeCommand, Target},
    diff,
    frame::RoomFrame,
    ids::{MachineId, SessionId},
    json::Json,
};

/// Frames that a room keeps for members that reconnect. A member that missed more gets a whole view instead.
pub const RING_FRAMES: usize = 256;

/// Bytes of frames that a room keeps, likewise.
pub const RING_BYTES: usize = 64 * 1024;

/// How far sequence numbers jump when the log takes a record back: further than a host on which the call succeeded can have
/// counted before it reads the `Fault` record, which the failing host has appended by then.
pub(super) const RESYNC_JUMP: u64 = 10_000;

/// How far a client can be ahead of the room: by the frames of the last tenths of a second, if a power cut has removed their
/// records from the log. A higher claim is ignored: later seats continue a seat's numbers, and a seat that begins near the
/// largest number that clients can count would leave none for them.
const MOST_AHEAD: u64 = 1 << 20;

impl Room {
    /// Numbers a frame for each of its members, keeps it, and sends it to those that are connected.
    pub(super) fn deliver(&mut self, step: &mut Step, frame: RoomFrame, to: To) {
        let Some(state) = &mut self.state else { return };
        let targets = state.number_targets(&to);
        if targets.is_empty() && !state.has_any(&to) {
            return;
        }
        state.keep(RingEntry { frame: frame.clone(), to });
        for (edge, targets) in targets {
            step.edge(&edge, EdgeCommand::Deliver { room: self.id, targets, frame: frame.clone() });
        }
    }

    /// The frame that turns one view into another. Members mostly have the same view, and so do all spectators: two views that
    /// were compared for one member are not compared again for the next.
    pub(super) fn patch(&self, step: &mut Step, old: Json, new: Json) -> RoomFrame {
        let views = (old, new);
        if let Some(frame) = step.patches.get(&views) {
            return frame.clone();
        }
        let frame = RoomFrame::patch(self.id, &diff::compare(&views.0, &views.1).ops);
        step.patches.insert(views, frame.clone());
        frame
    }

    /// The member's whole view as its next frame.
    pub(super) fn send_whole_view(&mut self, step: &mut Step, session: SessionId) {
        let Some(state) = &self.state else { return };
        let Some(member) = state.members.get(&session) else { return };
        let frame = RoomFrame::room(self.id, &state.kind, member.last_client_seq, &state.view_of(session));
        self.deliver(step, frame, To::One(session));
    }

    /// Brings a member that has reconnected up to date: by the frames that it missed, or by its whole view.
    pub(super) fn resume(&mut self, step: &mut Step, session: SessionId, last_seq: Option<u64>) {
        let Some(state) = &mut self.state else { return };
        let missed = last_seq.and_then(|last| state.missed(session, last));
        let Some(member) = state.members.get_mut(&session) else { return };
        let last_seq = last_seq.filter(|last| *last <= member.out_seq + MOST_AHEAD);
        let Some(missed) = missed else {
            // A client may have received more frames than the room has counted (a log that lost its end). It must not drop the
            // view as a repetition.
            member.out_seq = member.out_seq.max(last_seq.unwrap_or(0));
            member.first_seq = member.out_seq + 1;
            return self.send_whole_view(step, session);
        };
        let (edge, connection) = (member.edge.clone(), member.request.connection);
        let first = member.out_seq + 1 - missed.len() as u64;
        for (seq, frame) in (first..).zip(missed) {
            let targets = vec![Target { session, connection, seq }];
            step.edge(&edge, EdgeCommand::Deliver { room: self.id, targets, frame });
        }
    }

    /// Ends a resume. The member has now been sent all answers that the room keeps: a message up to `applied` that still waits
    /// for one at the member's edge gets none.
    pub(super) fn end_resume(&self, step: &mut Step, session: SessionId) {
        let Some(member) = self.state.as_ref().and_then(|state| state.members.get(&session)) else { return };
        let (request, applied) = (member.request, member.last_client_seq);
        step.edge(&member.edge, EdgeCommand::Resumed { session, request, room: self.id, applied });
    }

    /// Sends the whole view under a number that no client can have received.
    pub(super) fn resync(&mut self, step: &mut Step, session: SessionId) {
        let Some(state) = &mut self.state else { return };
        let floor = state.seq_floor;
        let Some(member) = state.members.get_mut(&session) else { return };
        member.out_seq = member.out_seq.max(floor) + RESYNC_JUMP;
        member.first_seq = member.out_seq + 1;
        self.send_whole_view(step, session);
    }
}

impl State {
    /// Assigns the frame's next number for each of its members. Returns those that are connected, by edge.
    fn number_targets(&mut self, to: &To) -> Vec<(MachineId, Vec<Target>)> {
        let mut by_edge: Vec<(MachineId, Vec<Target>)> = Vec::new();
        let mut add = |session: SessionId, member: &mut super::Member| {
            member.out_seq += 1;
            if !member.connected {
                return;
            }
            let target = Target { session, connection: member.request.connection, seq: member.out_seq };
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
