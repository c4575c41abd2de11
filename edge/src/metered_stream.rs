//! A socket whose bytes are counted, so that bytes that never complete a message are bounded, and charged to the client.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use chorus_core::frame::MAX_FRAME;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::ClientStream;

/// Bytes that may arrive before they complete a message.
const MAX_BYTES_PER_MESSAGE: usize = 2 * MAX_FRAME + 16 * 1024;

/// The most bytes of a client's frame besides its payload: a head with a long length, and the mask.
const MAX_HEAD: usize = 14;

/// One read may contain several messages. Up to this many of its bytes are not charged, since they may belong to messages that
/// are not parsed yet.
const READ_AHEAD: usize = MAX_BYTES_PER_MESSAGE;

/// Beyond that, this many bytes are charged as one frame. Ten empty fragments have 60.
const BYTES_PER_FRAME: usize = 64;

/// A socket that accepts a bounded number of bytes until they complete a message.
#[derive(Debug)]
pub(crate) struct MeteredStream<S = ClientStream> {
    stream: S,
    /// Bytes that may still arrive before a message is complete.
    bytes_left: usize,
    /// Bytes that have arrived, less those of complete messages.
    unclaimed: usize,
    /// Bytes that have arrived since the last message.
    received: usize,
}

/// What has arrived with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// The number of frames to charge for bytes that belong to no message.
    pub fragments: u32,
    /// Bytes since the message before, some of which may belong to the next one.
    pub bytes: u32,
}

impl<S> MeteredStream<S> {
    pub fn new(stream: S) -> MeteredStream<S> {
        MeteredStream { stream, bytes_left: MAX_BYTES_PER_MESSAGE, unclaimed: 0, received: 0 }
    }

    /// No further message is read: this many bytes may still arrive.
    pub fn allow(&mut self, bytes: usize) {
        self.bytes_left = bytes;
    }

    /// A message of this size is complete.
    pub fn next_message(&mut self, size: usize) -> Arrived {
        self.bytes_left = MAX_BYTES_PER_MESSAGE;
        self.unclaimed = self.unclaimed.saturating_sub(size + MAX_HEAD);
        let frames = self.unclaimed.saturating_sub(READ_AHEAD) / BYTES_PER_FRAME;
        self.unclaimed -= frames * BYTES_PER_FRAME;
        let bytes = std::mem::take(&mut self.received);
        Arrived {
            fragments: u32::try_from(frames).unwrap_or(u32::MAX),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes_left == 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let received = buffer.filled().len() - before;
        self.bytes_left = self.bytes_left.saturating_sub(received);
        self.unclaimed = self.unclaimed.saturating_add(received);
        self.received = self.received.saturating_add(received);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
