//! Sends every message back: the server for the conformance suite of WebSocket (`just conformance`).
//!
//! Only with the feature `conformance`, which only the example `echo` is built with. The connection is the real one; the
//! session is left out.

use tokio_tungstenite::tungstenite::Message;

/// Printed by the example; no binary that serves players may contain it.
pub const MARK: &str = "this server sends every message back, for conformance tests";

/// The message that waits to be sent back. A client that sends without reading is slowed by its socket, since nothing is
/// read while a message waits here.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    waiting: Option<Message>,
    /// Whether reading has stopped for it.
    stopped: bool,
}

impl Echo {
    /// Takes a message that is to be sent back; returns any other.
    pub fn take(&mut self, message: Message) -> Option<Message> {
        if !matches!(message, Message::Text(_) | Message::Binary(_)) {
            return Some(message);
        }
        self.waiting = Some(message);
        None
    }

    pub fn pop(&mut self) -> Option<Message> {
        self.waiting.take()
    }

    /// Whether reading is to stop for now.
    pub fn stops_reading(&mut self) -> bool {
        self.stopped = self.waiting.is_some();
        self.stopped
    }

    /// Whether reading had stopped and is to continue.
    pub fn reads_on(&mut self) -> bool {
        std::mem::take(&mut self.stopped)
    }
}
