//! The end of a connection, and of its session.

use std::{borrow::Cow, collections::VecDeque};

use super::{Output, Phase, Session, StoreWrite};
use crate::{
    command::{LeaveReason, RoomCommand},
    frame::CloseCode,
    ids::RoomId,
};

impl Session {
    /// Closes the connection with a reason.
    pub(super) fn close(&mut self, code: CloseCode, reason: impl Into<Cow<'static, str>>) {
        self.outputs.push_back(Output::Close { code, reason: reason.into() });
        self.on_lost(code.code());
    }

    /// The session has no connection any more: its rooms hold its seats for some time.
    pub(super) fn on_lost(&mut self, code: u16) {
        self.write_departure();
        if let Some(session) = self.id() {
            for room in self.end() {
                self.drop_from(session, room, code);
            }
            self.outputs.push_back(Output::Store(StoreWrite::Disconnected { session, silent: self.silent }));
        }
        self.end();
    }

    /// The session's rooms get the request of the new connection, and no `Drop` for this one.
    pub(super) fn on_replaced(&mut self) {
        let reason = "this session has another connection";
        self.outputs.push_back(Output::Close { code: CloseCode::Replaced, reason: reason.into() });
        self.end();
    }

    /// A room has ended the session. The session's row and the rooms in that row have the kick; rooms that were joined
    /// meanwhile get it from this edge.
    pub(super) fn on_kick(&mut self, reason: &str) {
        let Some(session) = self.id() else { return };
        self.outputs.push_back(Output::Close { code: CloseCode::Kicked, reason: close_reason(reason).into() });
        for room in self.end() {
            self.append(room, RoomCommand::Leave { session, reason: LeaveReason::Kicked });
        }
    }

    /// An operator has ended the session, which the rooms in its row have from the operator. Those that were joined meanwhile
    /// get it from this edge.
    pub(super) fn on_ending(&mut self, code: CloseCode, reason: &str) {
        let Some(session) = self.id() else { return };
        self.outputs.push_back(Output::Close { code, reason: close_reason(reason).into() });
        let (write, left_as) = match code {
            // After a logout the client's resume token is as none, so that the player can sign in again.
            CloseCode::Unauthorized => (StoreWrite::End(session), LeaveReason::Left),
            _ => (StoreWrite::Kick { session, reason: reason.into() }, LeaveReason::Kicked),
        };
        self.outputs.push_back(Output::Store(write));
        for room in self.end() {
            self.append(room, RoomCommand::Leave { session, reason: left_as });
        }
    }

    /// Drops all state. Returns the rooms that the session was in or was joining.
    fn end(&mut self) -> Vec<RoomId> {
        self.phase = Phase::Ended;
        self.moves = VecDeque::new();
        self.former = VecDeque::new();
        self.departure = None;
        std::mem::take(&mut self.seats).into_iter().map(|seat| seat.room).collect()
    }
}

/// A close frame holds 123 bytes of text.
pub fn close_reason(text: &str) -> String {
    let mut end = text.len().min(120);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
