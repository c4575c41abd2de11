//! The rooms' side: receives the commands for this edge's sessions, and hands them out.

use std::sync::Arc;

use chorus_bus::{EdgeReadError, EdgeReceiver};
use chorus_core::{command::EdgeCommand, session::Input};

use crate::{connections::Connections, sessions::Sessions};

/// How many frames are handed out before other tasks get their turn.
const MAX_BATCH: usize = 256;

pub(crate) async fn run(connections: Arc<Connections>, sessions: Arc<Sessions>, mut channel: EdgeReceiver) {
    let mut commands = Vec::new();
    loop {
        match channel.recv_many(&mut commands).await {
            Ok(()) => hand_out(&sessions, &mut commands).await,
            Err(EdgeReadError::Overflow { dropped }) => {
                tracing::warn!(dropped, "this edge was too slow for its rooms; its sessions have to resume");
                connections.close_all(|| Input::FellBehind);
            }
            Err(EdgeReadError::Closed) => {
                connections.close_all(|| Input::Unavailable);
                return;
            }
        }
    }
}

async fn hand_out(sessions: &Arc<Sessions>, commands: &mut Vec<EdgeCommand>) {
    let mut handed_out = 0;
    for command in commands.drain(..) {
        handed_out += sessions.deliver(command);
        if handed_out >= MAX_BATCH {
            handed_out = 0;
            tokio::task::yield_now().await;
        }
    }
}
