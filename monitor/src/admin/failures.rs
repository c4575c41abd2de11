//! What the record of a failure does not contain: the handler that failed, and the line of its author's script.

use std::{collections::BTreeMap, sync::Arc};

use chorus_core::{
    command::{RoomCommand, RoomData},
    ids::{Digest, Offset, RoomId},
};

use super::{Api, Locate, answer::ApiError};

/// The number of records whose handlers are kept, so that a failure can name its handler: a failure follows its record soon.
const KEPT_HANDLERS: usize = 256;

/// The details of a failure beyond its record.
pub(super) struct Failure {
    pub handler: Option<String>,
    /// The line of its author's script.
    pub at: Option<String>,
    /// The text, with the author's lines.
    pub text: String,
}

/// The room's component and its latest handlers, as far as failures need them.
pub(super) struct Scripts {
    api: Arc<Api>,
    component: Option<Digest>,
    /// The places in that component, once they were needed.
    locate: Option<(Digest, Locate)>,
    handlers: BTreeMap<Offset, String>,
}

impl Scripts {
    pub async fn new(api: Arc<Api>, room: RoomId) -> Result<Scripts, ApiError> {
        let component = api.store.room(room).await?.map(|row| row.component);
        Ok(Scripts { api, component, locate: None, handlers: BTreeMap::new() })
    }

    /// For a record of a failure: the handler that failed, where, and why.
    pub async fn failure(&mut self, offset: Offset, command: &RoomCommand) -> Option<Failure> {
        match command {
            RoomCommand::Create { component, .. } | RoomCommand::Swap { component, .. } => {
                self.component = Some(*component);
            }
            _ => {}
        }
        if let Some(handler) = handler(command) {
            self.handlers.insert(offset, handler);
            if self.handlers.len() > KEPT_HANDLERS {
                self.handlers.pop_first();
            }
        }
        let (of, text) = match command {
            RoomCommand::Fault { at, fault } => (Some(at.offset), fault.to_string()),
            RoomCommand::Threw { at, text } => (Some(at.offset), text.to_string()),
            RoomCommand::Close { reason } => (None, reason.to_string()),
            _ => return None,
        };
        let text = self.readable(text).await;
        let handler = of.and_then(|of| self.handlers.get(&of).cloned());
        let at = text.lines().find_map(|line| line.trim_start().strip_prefix("at ")).map(str::to_owned);
        Some(Failure { handler, at, text })
    }

    /// Without the component the text stays as it is.
    async fn readable(&mut self, text: String) -> String {
        let Some(component) = self.component else { return text };
        if self.locate.as_ref().is_none_or(|(of, _)| *of != component) {
            let store = self.api.store.clone();
            // A task of its own: a stream of events has to be `Sync`, and the store's future is not.
            let found = tokio::spawn(async move { store.component(component).await }).await;
            let Ok(Ok(Some(wasm))) = found else { return text };
            self.locate = Some((component, (self.api.hooks.locator)(&wasm)));
        }
        self.locate.as_ref().map_or(text.clone(), |(_, locate)| locate(&text))
    }
}

/// The handler that a record calls, by its author's name for it. A message's type is shown only once its handler has failed:
/// then the type comes from the script, not from a player.
fn handler(command: &RoomCommand) -> Option<String> {
    Some(match command {
        RoomCommand::Create { .. } => "onCreate".into(),
        RoomCommand::Join(_) => "onJoin".into(),
        RoomCommand::Message { msg_type, .. } => format!("messages.{msg_type}"),
        RoomCommand::Drop { .. } => "onDrop".into(),
        RoomCommand::Reconnect { .. } => "onReconnect".into(),
        RoomCommand::Leave { .. } => "onLeave".into(),
        RoomCommand::Timer { name: Some(name), .. } => format!("timers.{name}"),
        RoomCommand::RoomMessage { data: RoomData::Message(_), .. } => "onRoomMessage".into(),
        RoomCommand::RoomMessage { .. } => "onRoomEnd".into(),
        RoomCommand::Close { .. } => "onDispose".into(),
        _ => return None,
    })
}
