//! Every message is sent back: what the field's conformance suite connects to (`just conformance`).
//!
//! Only with the feature `conformance`, which nothing but the example `echo` is built with. The connection is the real
//! one; the session is left out.

use tokio_tungstenite::tungstenite::Message;

/// What the example prints, and no binary that serves players may contain.
pub const MARK: &str = "this server sends every message back, for conformance tests";

/// What waits to be sent back: one message. A client that sends without reading is slowed by its socket, since nothing is
/// read while something waits here.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    waiting: Option<Message>,
    /// Reading has stopped for it.
    stopped: bool,
}

impl Echo {
    /// Takes what is to be sent back; gives back what is not.
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

    /// Whether nothing more is to be read for now.
    pub fn stops_reading(&mut self) -> bool {
        self.stopped = self.waiting.is_some();
        self.stopped
    }

    /// Whether reading had stopped, and goes on.
    pub fn reads_on(&mut self) -> bool {
        std::mem::take(&mut self.stopped)
    }
}
