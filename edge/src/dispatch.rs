//! The rooms' side: receives the commands for this edge's sessions, and hands them to their lines.

use std::{sync::Arc, time::Duration};

use chorus_bus::{EdgeReadError, EdgeReceiver};
use chorus_core::{
    command::{EdgeCommand, Target},
    frame::RoomFrame,
    ids::{RoomId, SessionId},
    session::Input,
};

use crate::hub::Hub;

/// How many frames are handed out before other tasks get their turn.
const BATCH: usize = 256;

/// How soon the store is tried again, after its own retries, for as long as the connection is open.
const STORE_RETRY: Duration = Duration::from_secs(1);

pub(crate) async fn run(hub: Arc<Hub>, mut channel: EdgeReceiver) {
    let mut commands = Vec::new();
    loop {
        match channel.recv_many(&mut commands).await {
            Ok(()) => hand_out(&hub, &mut commands).await,
            Err(EdgeReadError::Overflow { dropped }) => {
                tracing::warn!(dropped, "this edge was too slow for its rooms; its sessions have to resume");
                hub.close_all(|| Input::FellBehind);
            }
            Err(EdgeReadError::Closed) => {
                hub.close_all(|| Input::Unavailable);
                return;
            }
        }
    }
}

async fn hand_out(hub: &Arc<Hub>, commands: &mut Vec<EdgeCommand>) {
    let mut handed = 0;
    for command in commands.drain(..) {
        match command {
            EdgeCommand::Deliver { room, targets, frame } => {
                handed += targets.len();
                deliver(hub, room, &targets, &frame);
            }
            EdgeCommand::Replaced { session } => {
                handed += 1;
                replaced(hub, session);
            }
            other => {
                handed += 1;
                // Without a line, the command is dropped: the room is notified of the lost connection, and sends it again
                // when the session resumes.
                if let Some(line) = hub.line_of(session_of(&other)) {
                    line.input(hub, Input::Command(other));
                }
            }
        }
        if handed >= BATCH {
            handed = 0;
            tokio::task::yield_now().await;
        }
    }
}

fn deliver(hub: &Arc<Hub>, room: RoomId, targets: &[Target], frame: &RoomFrame) {
    for target in targets {
        if let Some(line) = hub.line_of(target.session) {
            line.input(hub, Input::Deliver { room, target: *target, frame });
        }
    }
}

/// Another edge or a room reports that the session is on another edge. The store has the session's last edge.
fn replaced(hub: &Arc<Hub>, session: SessionId) {
    let Some(line) = hub.line_of(session) else { return };
    let hub = hub.clone();
    tokio::spawn(async move {
        loop {
            match hub.store.session_edge(session).await {
                Ok(Some((edge, _))) if edge == hub.options.id => return line.input(&hub, Input::Contested),
                Ok(_) => return line.input(&hub, Input::Command(EdgeCommand::Replaced { session })),
                Err(error) => tracing::warn!(%session, %error, "where a session is cannot be looked up; trying again"),
            }
            tokio::time::sleep(STORE_RETRY).await;
            if !hub.line_of(session).is_some_and(|now| Arc::ptr_eq(&now, &line)) {
                return;
            }
        }
    });
}

fn session_of(command: &EdgeCommand) -> SessionId {
    match command {
        EdgeCommand::Join { session, .. }
        | EdgeCommand::Leave { session, .. }
        | EdgeCommand::Kick { session, .. }
        | EdgeCommand::Admitted { session, .. }
        | EdgeCommand::Refused { session, .. }
        | EdgeCommand::Replaced { session }
        | EdgeCommand::Spent { session, .. }
        | EdgeCommand::Resumed { session, .. } => *session,
        EdgeCommand::Deliver { .. } => unreachable!("it has targets instead"),
    }
}
