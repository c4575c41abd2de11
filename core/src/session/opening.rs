//! From `hello` to `welcome`: a session is opened or resumed.

use std::sync::Arc;

use super::{Input, Opened, Outgoing, Output, Phase, Session, StoreWrite, renewal::Renewal};
use crate::{
    command::RoomCommand,
    frame::{CloseCode, ErrorCode, Hello, Welcome},
    identity::Identity,
    ids::{RoomId, SessionId, Time},
    secret::Secret,
};

/// The session of an open connection.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub session: SessionId,
    pub identity: Identity,
}

impl Session {
    pub(super) fn on_hello(&mut self, mut hello: Hello) {
        match self.phase {
            Phase::Greeting { .. } => {
                self.phase = Phase::Opening { last: std::mem::take(&mut hello.last) };
                self.outputs.push_back(Output::Hello(Box::new(hello)));
            }
            _ => self.refuse(None, ErrorCode::BadOrder, "hello is sent once, as the first frame", None),
        }
    }

    pub(super) fn on_opened(&mut self, opened: Opened, now: Time) {
        let last = match &mut self.phase {
            Phase::Opening { last } => std::mem::take(last),
            _ => Vec::new(),
        };
        self.send_welcome(&opened, now);
        let Opened { session, identity, was, resume, owed, recovered, .. } = opened;
        self.renewal = Renewal::new(identity.expires, now);
        self.phase = Phase::Open(Owner { session, identity });
        match recovered {
            Some(rooms) => {
                self.unconfirmed = Some(resume);
                self.on_recovered(rooms, last, owed, now);
            }
            None => self.on_new(now),
        }
        if let Some(was) = was {
            self.identify(&was);
        }
    }

    /// Notifies the rooms that the player, who was this guest, has signed in.
    fn identify(&mut self, was: &Arc<str>) {
        let Phase::Open(Owner { session, identity: Identity { player, claims, .. } }) = self.phase.clone() else {
            return;
        };
        let rooms: Vec<RoomId> = self.seats.iter().map(|seat| seat.room).collect();
        for room in rooms {
            let (was, player, claims) = (was.clone(), player.clone(), claims.clone());
            self.append(room, RoomCommand::Identify { session, was, player, claims });
        }
    }

    fn send_welcome(&mut self, opened: &Opened, now: Time) {
        let welcome = Welcome {
            session: opened.session.to_string(),
            resume: opened.resume.expose(),
            recovered: opened.recovered.is_some(),
            ping_ms: self.limits.ping_ms,
            now: now.0,
            player: &opened.identity.player.id,
            name: &opened.identity.player.name,
            guest: opened.guest.as_ref().map(Secret::expose),
        };
        self.outputs.push_back(Output::Send(Outgoing::Text(welcome.text())));
    }

    fn on_new(&mut self, now: Time) {
        self.silent = true;
        self.enter_lobby(now);
    }

    fn on_recovered(&mut self, rooms: Vec<RoomId>, last: Vec<(RoomId, u64)>, owed: u64, now: Time) {
        self.resume_debt(owed, now);
        // The pong makes the old token void. Until then that token can still take the session over (in an earlier `hello`
        // of this client that a stalled edge has yet to process), and the new token would be worthless.
        self.send_ping();
        self.reconnect_to(rooms, last, now);
    }

    /// Handles the one input that matters after the connection has ended. The session's next connection takes its debt from
    /// this one.
    pub(super) fn handle_late(&mut self, input: Input<'_>, now: Time) {
        let Input::Opened(opened) = input else { return };
        let session = opened.session;
        self.keep_debt(opened.owed, now);
        match opened.recovered {
            // The earlier connection may have been replaced by this one, so no other edge notifies the rooms.
            Some(rooms) => {
                rooms.into_iter().for_each(|room| self.drop_from(session, room, CloseCode::ABNORMAL));
                self.outputs.push_back(Output::Store(StoreWrite::Disconnected { session, silent: false }));
            }
            None => self.outputs.push_back(Output::Store(StoreWrite::End(session))),
        }
    }
}
