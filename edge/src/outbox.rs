//! The frames that wait for one client. No frame is ever dropped: a client that is too far behind is closed, and resumes.
//!
//! Patches are not merged: each has its own `seq`, and the client counts them.

use std::{borrow::Cow, collections::VecDeque, mem};

use chorus_core::{frame::CloseCode, session::Outgoing};
use tokio_tungstenite::tungstenite::{
    Bytes, Message, Utf8Bytes,
    protocol::{CloseFrame, frame::coding},
};

/// How many bytes may wait for one client.
pub const OUTBOX_BYTES: usize = 1 << 20;

/// How many frames may wait for one client.
pub const OUTBOX_FRAMES: usize = 4096;

/// The capacity in frames that an empty outbox keeps.
const MAX_KEPT_CAPACITY: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: VecDeque<Outgoing>,
    bytes: usize,
    ping: bool,
    close: Close,
}

#[derive(Debug, Default)]
enum Close {
    #[default]
    No,
    After(CloseCode, Cow<'static, str>),
    Taken,
}

/// Too much is waiting for the client.
#[derive(Debug)]
pub(crate) struct Overflow;

impl Outbox {
    pub fn push(&mut self, frame: Outgoing) -> Result<(), Overflow> {
        if self.frames.len() >= OUTBOX_FRAMES || self.bytes + frame.size() > OUTBOX_BYTES {
            return Err(Overflow);
        }
        self.bytes += frame.size();
        self.frames.push_back(frame);
        Ok(())
    }

    pub fn ping(&mut self) {
        self.ping = true;
    }

    /// Closes after the waiting frames, or, if the client is too slow for those, without them.
    pub fn close(&mut self, code: CloseCode, reason: Cow<'static, str>) {
        if code == CloseCode::SlowConsumer {
            self.frames = VecDeque::new();
            self.bytes = 0;
        }
        if matches!(self.close, Close::No) {
            self.close = Close::After(code, reason);
        }
    }

    pub fn is_closing(&self) -> bool {
        !matches!(self.close, Close::No)
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.ping && !matches!(self.close, Close::After(..))
    }

    /// The next message to write.
    pub fn pop(&mut self) -> Option<Message> {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.size();
            if self.frames.is_empty() && self.frames.capacity() > MAX_KEPT_CAPACITY {
                self.frames = VecDeque::new();
            }
            return Some(Message::Text(Utf8Bytes::from(frame.into_text())));
        }
        if let Close::After(..) = self.close {
            let Close::After(code, reason) = mem::replace(&mut self.close, Close::Taken) else { return None };
            let code = coding::CloseCode::from(code.code());
            return Some(Message::Close(Some(CloseFrame { code, reason: reason.into_owned().into() })));
        }
        mem::take(&mut self.ping).then(|| Message::Ping(Bytes::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Outgoing {
        Outgoing::Text("x".repeat(bytes))
    }

    #[test]
    fn it_is_bounded_in_frames_and_in_bytes() {
        let mut outbox = Outbox::default();
        (0..OUTBOX_FRAMES).for_each(|_| outbox.push(text(1)).expect("there is room"));
        assert!(outbox.push(text(1)).is_err());
        assert!(outbox.pop().is_some());
        assert!(outbox.push(text(1)).is_ok());

        let mut outbox = Outbox::default();
        outbox.push(text(OUTBOX_BYTES)).expect("there is room");
        assert!(outbox.push(text(1)).is_err());
    }

    #[test]
    fn a_close_follows_the_waiting_frames_and_is_sent_once() {
        let mut outbox = Outbox::default();
        outbox.push(text(1)).expect("there is room");
        outbox.close(CloseCode::Draining, "bye".into());
        outbox.close(CloseCode::Kicked, "ignored".into());
        assert!(matches!(outbox.pop(), Some(Message::Text(_))));
        assert!(matches!(outbox.pop(), Some(Message::Close(Some(frame))) if u16::from(frame.code) == 4001));
        assert!(outbox.pop().is_none());
    }

    #[test]
    fn a_client_that_is_too_slow_does_not_get_the_waiting_frames() {
        let mut outbox = Outbox::default();
        outbox.push(text(1)).expect("there is room");
        outbox.close(CloseCode::SlowConsumer, "".into());
        assert!(matches!(outbox.pop(), Some(Message::Close(_))));
    }
}
