//! A socket whose bytes are counted, so that bytes that make no message are neither endless nor free.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use chorus_core::frame::MAX_FRAME;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Bytes from the socket that may arrive without making a message.
const MAX_BYTES_PER_MESSAGE: usize = 2 * MAX_FRAME + 16 * 1024;

/// The most bytes of a client's frame beside its payload: of a head with a long length, and the mask.
const MAX_HEAD: usize = 14;

/// A read may take more than one message, so that some bytes seem to belong to none until the next message is looked at.
/// Up to this many such bytes are not counted.
const READ_AHEAD: usize = MAX_BYTES_PER_MESSAGE;

/// Beyond that, so many bytes that belong to no message cost as much as one frame. Ten empty fragments have 60.
const BYTES_PER_FRAME: usize = 64;

/// A socket from which only so many bytes may arrive before they have made a message.
#[derive(Debug)]
pub(crate) struct MeteredStream {
    stream: TcpStream,
    /// How many more bytes may arrive.
    bytes_left: usize,
    /// Bytes that have arrived, less those of the messages that they made.
    unclaimed: usize,
}

impl MeteredStream {
    pub fn new(stream: TcpStream) -> MeteredStream {
        MeteredStream { stream, bytes_left: MAX_BYTES_PER_MESSAGE, unclaimed: 0 }
    }

    /// No more messages are made: this many bytes may still arrive.
    pub fn allow(&mut self, bytes: usize) {
        self.bytes_left = bytes;
    }

    /// A message of this size was made of the bytes so far. Returns how many frames to charge for bytes that made none.
    pub fn next_message(&mut self, size: usize) -> u32 {
        self.bytes_left = MAX_BYTES_PER_MESSAGE;
        self.unclaimed = self.unclaimed.saturating_sub(size + MAX_HEAD);
        let frames = self.unclaimed.saturating_sub(READ_AHEAD) / BYTES_PER_FRAME;
        self.unclaimed -= frames * BYTES_PER_FRAME;
        u32::try_from(frames).unwrap_or(u32::MAX)
    }
}

impl AsyncRead for MeteredStream {
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
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MeteredStream {
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
