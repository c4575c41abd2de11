//! The socket's side of a connection: one task for each WebSocket, and one future of known size, since there are many.
//!
//! Bounds on a client: [`MAX_FRAME`] for a message and for a frame; [`MeteredStream`] for the bytes that may arrive before a
//! message is complete, since empty continuation frames never complete one; the session's rate for pings, unsolicited pongs and
//! fragments; a pause in reading for a client that sends more bytes than it may, or more than its player may; the outbox for frames
//! that the client does not read; [`CLOSE_TIMEOUT`] for the time that a close may take, [`MAX_LATE`] and [`MAX_LATE_DISCARDED`] for
//! what the client sends meanwhile, or [`DISCARD_TIMEOUT`] and [`MAX_DISCARDED`] when the client is in the middle of a message that is
//! refused.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use chorus_core::{
    frame::{ClientFrame, CloseCode, MAX_FRAME},
    ids::Time,
    session::Input,
};
use futures_util::{Sink, Stream};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as WsError, Message,
        error::ProtocolError,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{
    address::Address, connections::Connections, drain::DrainGuard, metered_stream::MeteredStream, metrics::Limit,
    outbox::OUTBOX_BYTES, session_handle::SessionHandle, slots::ConnectionSlot, tls::ClientStream,
};

/// The read buffer of a connection, kept for the connection's life. Larger messages grow it while they arrive.
const READ_BUFFER: usize = 1024;

/// Waiting frames are written together up to this size.
const WRITE_BUFFER: usize = 16 * 1024;

/// How long a closing connection may take to exchange close frames.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How much is read of a client that is being closed until its own close frame, in bytes; a message counts as [`LATE_MESSAGE`] at
/// least. A client that ends on its side has sent a few messages meanwhile; one that goes on is not served.
const MAX_LATE: usize = 1 << 20;

/// Small messages cost their processing, not their bytes.
const LATE_MESSAGE: usize = 1024;

/// How much more of its input is dropped unread before the connection is cut off: what is in the system's buffers of most clients, which
/// read their close frame after that.
const MAX_LATE_DISCARDED: usize = 2 << 20;

/// How much of a client's remaining input is read and dropped before the connection is cut off in the middle. A client
/// that sends one huge message reads its close frame only after that.
const MAX_DISCARDED: usize = 48 << 20;

/// How long the dropping may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Dropped input is read in pieces of this size.
const DISCARD_BUFFER: usize = 16 * 1024;

/// The close code of a close frame that has none.
const NO_STATUS: u16 = 1005;

/// An open WebSocket.
pub(crate) struct Connection {
    socket: WebSocketStream<MeteredStream>,
    handle: Arc<SessionHandle>,
    connections: Arc<Connections>,
    timer: Pin<Box<Sleep>>,
    /// When the timer is due while the connection is open.
    next_tick: Option<Time>,
    /// Nothing is read from an open connection before this time.
    paused_until: Option<Time>,
    state: State,
    /// What may still be read of a client that is being closed.
    late_left: usize,
    /// How much input is dropped before the connection is cut off, once it is dropped.
    discarded: usize,
    /// Whether something was handed to the socket since it was last flushed.
    dirty: bool,
    /// The close code that the connection ended with.
    code: u16,
    #[cfg(feature = "conformance")]
    echo: crate::echo::Echo,
    _slot: ConnectionSlot,
    _guard: DrainGuard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// A close frame is in flight, in either direction.
    Closing,
    /// The input is no longer valid, or too much of it follows the close frame: that frame is written, and further input is then read
    /// and dropped. Otherwise the system would discard the close frame.
    Failing,
    /// As `Failing`, and everything is written.
    Discarding,
}

/// Takes over the socket of a connection that has been upgraded.
pub(crate) async fn open(
    connections: Arc<Connections>,
    address: Address,
    slot: ConnectionSlot,
    upgraded: hyper::upgrade::Upgraded,
) -> Option<Connection> {
    let parts = upgraded.downcast::<TokioIo<ClientStream>>().ok()?;
    let stream = MeteredStream::new(parts.io.into_inner());
    let early = parts.read_buf.to_vec();
    let socket = WebSocketStream::from_partially_read(stream, early, Role::Server, Some(config())).await;
    let handle = connections.open(address);
    let guard = handle.links.drain.guard();
    if slot.over_limit {
        let (code, reason) = (CloseCode::TooMany, "too many connections: come again later".into());
        handle.links.metrics.count_refused(Limit::Connections);
        handle.input(Input::NotOpened { code, reason });
    }
    let (timer, next_tick, paused_until) = (Box::pin(tokio::time::sleep(CLOSE_TIMEOUT)), None, None);
    let (state, dirty, code) = (State::Open, false, CloseCode::ABNORMAL);
    let (late_left, discarded) = (MAX_LATE, MAX_DISCARDED);
    Some(Connection {
        socket,
        handle,
        connections,
        timer,
        next_tick,
        paused_until,
        state,
        late_left,
        discarded,
        dirty,
        code,
        #[cfg(feature = "conformance")]
        echo: crate::echo::Echo::default(),
        _slot: slot,
        _guard: guard,
    })
}

pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(OUTBOX_BYTES + 4 * WRITE_BUFFER)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME))
}

/// The connection has ended.
struct Ended;

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.advance(context) {
            Ok(()) => Poll::Pending,
            Err(Ended) => Poll::Ready(()),
        }
    }
}

impl Connection {
    /// Reads the frames that have arrived, then writes those that wait, then waits for more of either.
    fn advance(&mut self, context: &mut Context<'_>) -> Result<(), Ended> {
        loop {
            self.check_timer(context)?;
            self.read(context)?;
            let blocked = self.write(context)?.is_pending();
            #[cfg(feature = "conformance")]
            if !blocked && self.echo.reads_on() {
                continue;
            }
            let parked = self.handle.park(context, blocked);
            let next_tick = parked.next_tick.into_iter().chain(self.paused_until).min();
            let on_time = self.state != State::Open || next_tick == self.next_tick;
            if parked.closing && self.state == State::Open {
                self.start_closing(State::Closing);
            } else if !on_time {
                self.set_timer(next_tick);
            } else if !parked.more {
                return Ok(());
            }
        }
    }

    fn check_timer(&mut self, context: &mut Context<'_>) -> Result<(), Ended> {
        while self.timer.as_mut().poll(context).is_ready() {
            if self.state != State::Open {
                return Err(Ended);
            }
            self.handle.input(Input::Tick);
            self.set_timer(self.next_tick);
        }
        Ok(())
    }

    fn set_timer(&mut self, at: Option<Time>) {
        self.next_tick = at;
        let wait = at.map_or(CLOSE_TIMEOUT, |at| Duration::from_millis(at.since(self.handle.links.now()).max(1)));
        self.timer.as_mut().reset(Instant::now() + wait);
    }

    fn start_closing(&mut self, state: State) {
        self.state = state;
        let timeout = if state == State::Failing { DISCARD_TIMEOUT } else { CLOSE_TIMEOUT };
        self.timer.as_mut().reset(Instant::now() + timeout);
    }

    // ---- reading ----

    fn read(&mut self, context: &mut Context<'_>) -> Result<(), Ended> {
        while matches!(self.state, State::Open | State::Closing) && !self.is_paused() {
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Pending => {
                    self.connections.start_pending_hello(&self.handle);
                    return Ok(());
                }
                Poll::Ready(Some(Ok(message))) => {
                    if self.state == State::Closing {
                        self.count_late(&message);
                    }
                    // Its close frame is written first: the client may have sent much more.
                    if self.on_message(message) {
                        return Ok(());
                    }
                    #[cfg(feature = "conformance")]
                    if self.echo.stops_reading() {
                        return Ok(());
                    }
                }
                Poll::Ready(Some(Err(error))) => self.on_error(&error)?,
                Poll::Ready(None) => return Err(Ended),
            }
        }
        Ok(())
    }

    /// A client that goes on when it is being closed costs no more than the dropping of its input.
    fn count_late(&mut self, message: &Message) {
        self.late_left = self.late_left.saturating_sub(message.len().max(LATE_MESSAGE));
        if self.late_left == 0 {
            self.discarded = MAX_LATE_DISCARDED;
            self.state = State::Failing;
        }
    }

    /// Whether the client is slowed. The timer ends a pause.
    fn is_paused(&mut self) -> bool {
        let until = self.paused_until.filter(|until| *until > self.handle.links.now());
        self.paused_until = until;
        self.state == State::Open && until.is_some()
    }

    /// Returns whether the edge ends the connection.
    fn on_message(&mut self, message: Message) -> bool {
        let arrived = self.socket.get_mut().next_message(message.len());
        if arrived.fragments > 0 {
            self.handle.input(Input::Fragments(arrived.fragments));
        }
        #[cfg(feature = "conformance")]
        let Some(message) = (if self.handle.links.options.echo { self.echo.take(message) } else { Some(message) })
        else {
            return false;
        };
        let input = match &message {
            Message::Text(text) => Input::Frame(ClientFrame::parse(text)),
            Message::Binary(_) => Input::Malformed("binary frames are reserved"),
            Message::Ping(_) => Input::Ping,
            Message::Pong(_) => Input::Pong,
            Message::Close(frame) => {
                self.code = frame.as_ref().map_or(NO_STATUS, |frame| frame.code.into());
                self.start_closing(State::Closing);
                Input::Lost { code: self.code }
            }
            Message::Frame(_) => return false,
        };
        let received = self.handle.receive(input, arrived);
        self.paused_until = received.paused_until;
        // After a close frame of the client's own, the socket is read to the end of its input.
        received.has_ended && self.state == State::Open
    }

    fn on_error(&mut self, error: &WsError) -> Result<(), Ended> {
        let reason = match error {
            WsError::Capacity(_) => "a message has at most 65536 bytes",
            WsError::Utf8(_) => "text is UTF-8",
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Err(Ended),
            WsError::Protocol(_) => "this is not the WebSocket protocol",
            WsError::Io(error) if error.kind() == io::ErrorKind::InvalidData => "a message in too many pieces",
            _ => return Err(Ended),
        };
        // The client has sent a close frame itself, and reads no other.
        if self.code != CloseCode::ABNORMAL {
            return Err(Ended);
        }
        self.handle.input(Input::Malformed(reason));
        self.start_closing(State::Failing);
        Ok(())
    }

    // ---- writing ----

    /// Hands all waiting frames to the socket, then flushes it once. Pending: the client does not read.
    fn write(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, Ended> {
        if self.state == State::Discarding {
            return self.discard_input(context);
        }
        let written = self.poll_write(context);
        match written {
            Poll::Ready(Ok(())) if self.state == State::Failing => {
                self.state = State::Discarding;
                self.socket.get_mut().allow(self.discarded);
                self.discard_input(context)
            }
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(_)) => Err(Ended),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        let mut socket = Pin::new(&mut self.socket);
        loop {
            ready!(socket.as_mut().poll_ready(context))?;
            #[cfg(feature = "conformance")]
            let echo = self.echo.pop();
            #[cfg(not(feature = "conformance"))]
            let echo = None;
            let Some(message) = echo.or_else(|| self.handle.pop()) else { break };
            self.dirty = true;
            socket.as_mut().start_send(message)?;
        }
        if self.dirty {
            ready!(socket.poll_flush(context))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    fn discard_input(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, Ended> {
        let mut stream = Pin::new(self.socket.get_mut());
        if stream.as_mut().poll_shutdown(context).is_pending() {
            return Ok(Poll::Pending);
        }
        let mut bytes = [std::mem::MaybeUninit::uninit(); DISCARD_BUFFER];
        loop {
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match stream.as_mut().poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Err(Ended),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
    }
}

impl Drop for Connection {
    /// However the connection ends, its session is notified.
    fn drop(&mut self) {
        self.handle.input(Input::Lost { code: self.code });
        self.connections.close(&self.handle);
    }
}
