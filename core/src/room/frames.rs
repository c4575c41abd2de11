//! Members' frames: numbering, delivery, retention and resending.
//!
//! A member's frames are numbered without a gap, whether it is connected or not. The resend buffer keeps the latest frames, so
//! that a member that reconnects in time gets exactly the frames that it missed. Each room has one buffer: an entry's number
//! for a member is found by counting the later entries for that member.
//!
//! The frames of a record for one edge are sent in one command, unless something else is output between them: the order of a
//! record's outputs is that of the effects that cause them.

use super::{
    Output,
    state::{Audience, Member, State},
    step::Step,
};
use crate::{
    command::{Deliveries, EdgeCommand, Target},
    diff,
    frame::RoomFrame,
    ids::{MachineId, RoomId, SessionId},
    json::Json,
};

/// How far sequence numbers jump after a `Fault` record: by more frames than a host on which the call succeeded can have
/// numbered before it reads that record, which the failing host has appended by then.
pub(super) const RESYNC_JUMP: u64 = 10_000;

/// How far a client can be ahead of the room: by the frames of the last tenths of a second, if a power cut has removed their
/// records from the log. A higher number is ignored: later seats continue a seat's numbers, and a seat that begins near the
/// largest number that clients can count would leave none for them.
const MAX_AHEAD: u64 = 1 << 20;

impl Step {
    /// Numbers a frame for each of its members, keeps it, and sends it to those that are connected.
    pub fn deliver(&mut self, frame: RoomFrame, audience: Audience) {
        if !self.state.has_any(&audience) {
            return;
        }
        let out = &mut self.out;
        self.state.number_targets(&audience, |edge, target| add_delivery(out, edge, &frame, target));
        self.state.resend_buffer.push(&frame, &audience);
    }

    /// The frame that turns one view into another. Members mostly have the same view, and so do all spectators: two views that
    /// were compared for one member are not compared again for the next.
    pub fn patch(&mut self, old: Json, new: Json) -> RoomFrame {
        let views = (old, new);
        if let Some(frame) = self.patches.get(&views) {
            return frame.clone();
        }
        let frame = RoomFrame::patch(self.room, diff::compare(&views.0, &views.1).ops);
        self.patches.insert(views, frame.clone());
        frame
    }

    /// The member's whole view as its next frame.
    pub fn send_whole_view(&mut self, session: SessionId) {
        let Some(member) = self.state.members.get(&session) else { return };
        let view = self.state.view_of(session);
        let frame = RoomFrame::room(self.room, &self.state.kind, member.last_message_id, &view);
        self.deliver(frame, Audience::One(session));
    }

    /// Brings a member that has reconnected up to date: by the frames that it missed, or by its whole view.
    pub fn resume(&mut self, session: SessionId, last_seq: Option<u64>) {
        let room = self.room;
        let missed = last_seq.and_then(|last| self.state.frames_after(room, session, last));
        let Some(member) = self.state.members.get_mut(&session) else { return };
        let last_seq = last_seq.filter(|last| *last <= member.out_seq + MAX_AHEAD);
        let Some(missed) = missed else {
            // A client may have received more frames than the room has counted (a log that lost its end). It must not drop the
            // view as a repetition.
            member.out_seq = member.out_seq.max(last_seq.unwrap_or(0));
            member.first_seq = member.out_seq + 1;
            return self.send_whole_view(session);
        };
        let (edge, connection) = (member.edge.clone(), member.request.connection);
        let first = member.out_seq + 1 - missed.len() as u64;
        for (seq, frame) in (first..).zip(missed) {
            add_delivery(&mut self.out, &edge, &frame, Target { session, connection, seq });
        }
    }

    /// Ends a resume. By now the member has been sent all answers that the room keeps, so a message up to `applied` that still
    /// has no answer at the member's edge gets none.
    pub fn end_resume(&mut self, session: SessionId) {
        let Some(member) = self.state.members.get(&session) else { return };
        let (edge, request, applied) = (member.edge.clone(), member.request, member.last_message_id);
        self.edge(&edge, EdgeCommand::Resumed { session, request, room: self.room, applied });
    }

    /// Sends the whole view under a number that no client can have received.
    pub fn resync(&mut self, session: SessionId) {
        let floor = self.state.seq_floor;
        let Some(member) = self.state.members.get_mut(&session) else { return };
        member.out_seq = member.out_seq.max(floor) + RESYNC_JUMP;
        member.first_seq = member.out_seq + 1;
        self.send_whole_view(session);
    }
}

/// Adds a delivery to the command for this edge that only commands with frames, lines for the author and notices follow; to a
/// new command where there is none, or no place in it.
fn add_delivery(out: &mut Vec<Output>, edge: &MachineId, frame: &RoomFrame, target: Target) {
    if let Some(deliveries) = open_command(out, edge)
        && deliveries.add_frame(frame)
    {
        return deliveries.add_target(target);
    }
    out.push(Output::Edge(edge.clone(), EdgeCommand::Deliver(Deliveries::one(frame.clone(), target))));
}

fn open_command<'a>(out: &'a mut [Output], edge: &MachineId) -> Option<&'a mut Deliveries> {
    for output in out.iter_mut().rev() {
        match output {
            Output::Edge(to, EdgeCommand::Deliver(deliveries)) if to == edge => return Some(deliveries),
            Output::Edge(_, EdgeCommand::Deliver(_)) | Output::Log { .. } | Output::Notice(_) => {}
            _ => return None,
        }
    }
    None
}

impl State {
    /// Assigns the frame's next number for each of its members, and passes those that are connected to `send`.
    fn number_targets(&mut self, audience: &Audience, mut send: impl FnMut(&MachineId, Target)) {
        let mut number = |session: SessionId, member: &mut Member| {
            member.out_seq += 1;
            if member.connected {
                let target = Target { session, connection: member.request.connection, seq: member.out_seq };
                send(&member.edge, target);
            }
        };
        match audience {
            Audience::One(session) => {
                if let Some(member) = self.members.get_mut(session) {
                    number(*session, member);
                }
            }
            Audience::Except(except) => {
                for (session, member) in &mut self.members {
                    if !except.contains(session) {
                        number(*session, member);
                    }
                }
            }
        }
    }

    fn has_any(&self, audience: &Audience) -> bool {
        match audience {
            Audience::One(session) => self.members.contains_key(session),
            Audience::Except(except) => self.members.keys().any(|session| !except.contains(session)),
        }
    }

    /// The frames after `last` for this member, if all of them are still kept.
    fn frames_after(&self, room: RoomId, session: SessionId, last: u64) -> Option<Vec<RoomFrame>> {
        let member = self.members.get(&session)?;
        let count = member.out_seq.checked_sub(last)?;
        if last + 1 < member.first_seq {
            return None;
        }
        self.resend_buffer.last_for(room, session, count)
    }
}
