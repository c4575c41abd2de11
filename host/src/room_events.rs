//! What operators and a script's author see of a room: events for watchers, log lines, metrics.
//!
//! A slow watcher does not delay a room. The text of a script may contain players' words, so it goes to watchers only; log
//! lines have the place in the script instead.

use std::sync::Arc;

use chorus_core::{
    effect::{Effect, LogLevel},
    hosting::HostedRoom,
    ids::{Digest, Offset, RoomId},
    room::Notice,
};

use crate::{HostEvent, HostEventKind, Shared};

/// How the warning of a script begins that has left module state changed (`engine/src/changed.c`). Its place is made readable.
pub const MODULE_STATE: &str = "module state: ";

/// The events of one room.
pub struct RoomEvents {
    host: Arc<Shared>,
    room: RoomId,
    /// The record whose call failed last on this host, and what that call had logged.
    pub failed_log: Option<(Offset, Vec<Effect>)>,
}

impl RoomEvents {
    pub fn new(host: Arc<Shared>, room: RoomId) -> RoomEvents {
        RoomEvents { host, room, failed_log: None }
    }

    pub async fn notice(&mut self, hosted: &HostedRoom, mut notice: Notice) {
        let room = self.room;
        if let Notice::SwapRefused { component, reason } = &mut notice {
            *reason = self.readable(*component, reason).await.into();
        }
        match &notice {
            Notice::Created { .. } => {}
            Notice::RestartScheduled { failed: Some(reason), in_ms } => {
                tracing::warn!(%room, %reason, in_ms, "the lobby has failed, and restarts");
            }
            Notice::RestartScheduled { failed: None, in_ms } => {
                tracing::info!(%room, in_ms, "the lobby has ended, and restarts");
            }
            Notice::Faulted { offset, handler, fault, charged: None } => {
                self.failed(hosted, *offset, handler, &fault.to_string()).await;
                self.host.metrics.fault(fault, false);
                tracing::warn!(%room, offset, %handler, %fault, "a script failed");
            }
            Notice::Faulted { offset, handler, fault, charged: Some(session) } => {
                self.failed(hosted, *offset, handler, &fault.to_string()).await;
                self.host.metrics.fault(fault, true);
                tracing::info!(%room, offset, %handler, %session, %fault, "a client's record exceeded a budget");
            }
            Notice::SwapUndone { fault, .. } => {
                self.host.metrics.swap("undone");
                tracing::warn!(%room, %fault, "a swap was rolled back");
            }
            Notice::SwapRefused { reason, .. } => {
                self.host.metrics.swap("refused");
                tracing::warn!(%room, %reason, "a swap was refused");
            }
            Notice::Threw { offset, handler, text } => {
                let at = self.failed(hosted, *offset, handler, &format!("threw {text}")).await;
                self.host.metrics.throws.inc();
                tracing::info!(%room, offset, %handler, at, "a script threw");
            }
            Notice::Swapped { component } => {
                self.host.metrics.swap("done");
                tracing::debug!(%room, ?component, "swapped");
            }
        }
        self.emit(hosted, HostEventKind::Notice(notice));
    }

    pub async fn ended(&self, hosted: &HostedRoom, failed: Option<Box<str>>) {
        let failed = match (&failed, hosted.component()) {
            (Some(reason), Some(component)) => Some(self.readable(component, reason).await.into()),
            (reason, _) => reason.clone().map(Arc::from),
        };
        self.emit(hosted, HostEventKind::Ended { failed });
    }

    pub async fn log(&self, hosted: &HostedRoom, level: LogLevel, text: Box<str>) {
        let text = match hosted.component() {
            Some(component) if text.starts_with(MODULE_STATE) => self.readable(component, &text).await.into(),
            _ => text,
        };
        self.emit(hosted, HostEventKind::Log(level, text.into()));
    }

    /// The effects of a guest during its restore. They are not in the log, so only log lines are carried out.
    pub async fn restored(&self, hosted: &HostedRoom, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Log { level, text } => self.log(hosted, level, text).await,
                effect => {
                    let text = format!("requested {effect:.60?} in onRestore, where only log lines are carried out");
                    self.log(hosted, LogLevel::Warn, text.into()).await;
                }
            }
        }
    }

    /// Reports a failed call to the script's author: what the call had logged before, then the reason. Returns the failure's
    /// place in the script.
    async fn failed(&mut self, hosted: &HostedRoom, offset: Offset, handler: &str, text: &str) -> Option<String> {
        let log = self.failed_log.take_if(|(at, _)| *at == offset).map_or_else(Vec::new, |(_, log)| log);
        for effect in log {
            if let Effect::Log { level, text } = effect {
                self.log(hosted, level, format!("(before it failed) {text}").into()).await;
            }
        }
        let text = match hosted.component() {
            Some(component) => self.readable(component, text).await,
            None => text.to_owned(),
        };
        let at = text.lines().find_map(|line| line.trim_start().strip_prefix("at ")).map(str::to_owned);
        self.emit(hosted, HostEventKind::Failed { offset, handler: handler.into(), text: text.into() });
        at
    }

    /// A component's text, with places in its author's files where the source map has them.
    async fn readable(&self, component: Digest, text: &str) -> String {
        match self.host.catalogue.load(component).await {
            Ok(component) => component.source_map().readable(text).into_owned(),
            Err(_) => text.to_owned(),
        }
    }

    fn emit(&self, hosted: &HostedRoom, what: HostEventKind) {
        // An error means that there are no watchers.
        let _ = self.host.events.send(HostEvent { room: self.room, kind: hosted.kind().cloned(), what });
    }
}
