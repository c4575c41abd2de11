//! The socket's side of a connection: one task for each WebSocket, and one future of known size, since there are many.
//!
//! Bounds on a client: [`MAX_FRAME`] for a message and for a frame; [`MAX_BYTES_A_MESSAGE`] for the bytes that a message
//! may be cut into, since empty continuation frames never make a message; the session's rate for pings, unsolicited pongs
//! and fragments; the outbox for frames that the client does not read; [`FAREWELL`] for the time that a close may take,
//! or [`THROWING_AWAY`] and [`THROWN_AWAY`] when the client is in the middle of a message that is refused.

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
    net::TcpStream,
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
    OUTBOX_BYTES,
    address::Address,
    hub::{Hub, Place},
    line::Line,
};

/// The read buffer of a connection, kept for the connection's life. Larger messages grow it while they arrive.
const READ_BUFFER: usize = 2 * 1024;

/// Waiting frames are written together up to this size.
const WRITE_TOGETHER: usize = 16 * 1024;

/// Bytes from the socket that may arrive without making a message.
const MAX_BYTES_A_MESSAGE: usize = 2 * MAX_FRAME + 16 * 1024;

/// How long a closing connection may take to exchange close frames.
const FAREWELL: Duration = Duration::from_secs(2);

/// How much of a client's remaining input is read and dropped before the connection is cut off in the middle. A client
/// that sends one huge message reads its close frame only after that.
const THROWN_AWAY: usize = 48 << 20;

/// How long that may take.
const THROWING_AWAY: Duration = Duration::from_secs(5);

/// Dropped input is read in pieces of this size.
const PIECE: usize = 16 * 1024;

/// The close code of a connection that was lost without a close frame.
const GONE: u16 = 1006;

/// The close code of a close frame that has none.
const NO_CODE: u16 = 1005;

/// An open WebSocket.
pub(crate) struct Connection {
    socket: WebSocketStream<Metered>,
    line: Arc<Line>,
    hub: Arc<Hub>,
    timer: Pin<Box<Sleep>>,
    /// When the timer is due while the connection is open.
    next_tick: Option<Time>,
    state: State,
    /// Whether something was handed to the socket since it was last flushed.
    dirty: bool,
    /// The close code that the connection ended with.
    code: u16,
    #[cfg(feature = "conformance")]
    echo: crate::echo::Echo,
    _place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// A close frame is in flight, in either direction.
    Closing,
    /// The input is no longer valid: the close frame is written, and further input is then read and dropped. Otherwise
    /// the system would discard the close frame.
    Deaf,
    /// Likewise, and everything is written.
    Draining,
}

/// Takes over the socket of a connection that has been upgraded.
pub(crate) async fn open(
    hub: Arc<Hub>,
    address: Address,
    place: Place,
    upgraded: hyper::upgrade::Upgraded,
) -> Option<Connection> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    let stream = Metered { stream: parts.io.into_inner(), left: MAX_BYTES_A_MESSAGE, stray: 0 };
    let early = parts.read_buf.to_vec();
    let socket = WebSocketStream::from_partially_read(stream, early, Role::Server, Some(config())).await;
    let line = hub.open_line(address);
    if place.over {
        let (code, reason) = (CloseCode::TooMany, "too many connections: come again later".into());
        line.input(&hub, Input::NotOpened { code, reason });
    }
    let (timer, next_tick) = (Box::pin(tokio::time::sleep(FAREWELL)), None);
    let (state, dirty, code) = (State::Open, false, GONE);
    Some(Connection {
        socket,
        line,
        hub,
        timer,
        next_tick,
        state,
        dirty,
        code,
        #[cfg(feature = "conformance")]
        echo: crate::echo::Echo::default(),
        _place: place,
    })
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_TOGETHER)
        .max_write_buffer_size(OUTBOX_BYTES + 4 * WRITE_TOGETHER)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME))
}

/// The most bytes of a client's frame beside its payload: of a head with a long length, and the mask.
const HEAD: usize = 14;

/// A read may take more than one message, so that some bytes seem to belong to none until the next message is looked at.
/// Up to this many such bytes are not counted.
const READ_AHEAD: usize = MAX_BYTES_A_MESSAGE;

/// Beyond that, so many bytes that belong to no message cost as much as one frame. Ten empty fragments have 60.
const FRAGMENTS: usize = 64;

/// The connection is over.
struct Over;

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.advance(context) {
            Ok(()) => Poll::Pending,
            Err(Over) => Poll::Ready(()),
        }
    }
}

impl Connection {
    /// Reads the frames that have arrived, then writes those that wait, then waits for more of either.
    fn advance(&mut self, context: &mut Context<'_>) -> Result<(), Over> {
        loop {
            self.check_timer(context)?;
            self.read(context)?;
            let blocked = self.write(context)?.is_pending();
            #[cfg(feature = "conformance")]
            if !blocked && self.echo.reads_on() {
                continue;
            }
            let parked = self.line.park(context, blocked);
            let on_time = self.state != State::Open || parked.next_tick == self.next_tick;
            if parked.closing && self.state == State::Open {
                self.say_farewell(State::Closing);
            } else if !on_time {
                self.set_timer(parked.next_tick);
            } else if !parked.more {
                return Ok(());
            }
        }
    }

    fn check_timer(&mut self, context: &mut Context<'_>) -> Result<(), Over> {
        while self.timer.as_mut().poll(context).is_ready() {
            if self.state != State::Open {
                return Err(Over);
            }
            self.line.input(&self.hub, Input::Tick);
            self.set_timer(self.next_tick);
        }
        Ok(())
    }

    fn set_timer(&mut self, at: Option<Time>) {
        self.next_tick = at;
        let wait = at.map_or(FAREWELL, |at| Duration::from_millis(at.since(self.hub.now()).max(1)));
        self.timer.as_mut().reset(Instant::now() + wait);
    }

    fn say_farewell(&mut self, state: State) {
        self.state = state;
        let patience = if state == State::Deaf { THROWING_AWAY } else { FAREWELL };
        self.timer.as_mut().reset(Instant::now() + patience);
    }

    // ---- reading ----

    fn read(&mut self, context: &mut Context<'_>) -> Result<(), Over> {
        while matches!(self.state, State::Open | State::Closing) {
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Pending => {
                    self.line.greet(&self.hub);
                    return Ok(());
                }
                Poll::Ready(Some(Ok(message))) => {
                    self.on_message(message);
                    #[cfg(feature = "conformance")]
                    if self.echo.stops_reading() {
                        return Ok(());
                    }
                }
                Poll::Ready(Some(Err(error))) => self.on_error(&error)?,
                Poll::Ready(None) => return Err(Over),
            }
        }
        Ok(())
    }

    fn on_message(&mut self, message: Message) {
        let fragments = self.socket.get_mut().next_message(message.len());
        if fragments > 0 {
            self.line.input(&self.hub, Input::Fragments(fragments));
        }
        #[cfg(feature = "conformance")]
        let Some(message) = (if self.hub.options.echo { self.echo.take(message) } else { Some(message) }) else {
            return;
        };
        let input = match &message {
            Message::Text(text) => Input::Frame(ClientFrame::parse(text)),
            Message::Binary(_) => Input::Malformed("binary frames are reserved"),
            Message::Ping(_) => Input::Ping,
            Message::Pong(_) => Input::Pong,
            Message::Close(frame) => {
                self.code = frame.as_ref().map_or(NO_CODE, |frame| frame.code.into());
                self.say_farewell(State::Closing);
                Input::Lost { code: self.code }
            }
            Message::Frame(_) => return,
        };
        self.line.input(&self.hub, input);
    }

    fn on_error(&mut self, error: &WsError) -> Result<(), Over> {
        let what = match error {
            WsError::Capacity(_) => "a message has at most 65536 bytes",
            WsError::Utf8(_) => "text is UTF-8",
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Err(Over),
            WsError::Protocol(_) => "this is not the WebSocket protocol",
            WsError::Io(error) if error.kind() == io::ErrorKind::InvalidData => "a message in too many pieces",
            _ => return Err(Over),
        };
        // The client has sent a close frame itself, and reads no other.
        if self.code != GONE {
            return Err(Over);
        }
        self.line.input(&self.hub, Input::Malformed(what));
        self.say_farewell(State::Deaf);
        Ok(())
    }

    // ---- writing ----

    /// Hands all waiting frames to the socket, then flushes it once. Pending: the client does not read.
    fn write(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, Over> {
        if self.state == State::Draining {
            return self.throw_away(context);
        }
        let written = self.poll_write(context);
        match written {
            Poll::Ready(Ok(())) if self.state == State::Deaf => {
                self.state = State::Draining;
                self.socket.get_mut().left = THROWN_AWAY;
                self.throw_away(context)
            }
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(_)) => Err(Over),
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
            let Some(message) = echo.or_else(|| self.line.pop()) else { break };
            self.dirty = true;
            socket.as_mut().start_send(message)?;
        }
        if self.dirty {
            ready!(socket.poll_flush(context))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    fn throw_away(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, Over> {
        let mut stream = Pin::new(self.socket.get_mut());
        if stream.as_mut().poll_shutdown(context).is_pending() {
            return Ok(Poll::Pending);
        }
        let mut bytes = [std::mem::MaybeUninit::uninit(); PIECE];
        loop {
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match stream.as_mut().poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Err(Over),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
    }
}

impl Drop for Connection {
    /// However the connection ends, its session is notified.
    fn drop(&mut self) {
        self.line.input(&self.hub, Input::Lost { code: self.code });
        self.hub.close_line(&self.line);
    }
}

/// A socket from which only so many bytes may arrive before they have made a message.
#[derive(Debug)]
struct Metered {
    stream: TcpStream,
    left: usize,
    /// Bytes that have arrived, less those of the messages that they made.
    stray: usize,
}

impl Metered {
    /// A message of this size was made of the bytes so far. Returns how many frames to charge for bytes that made none.
    fn next_message(&mut self, size: usize) -> u32 {
        self.left = MAX_BYTES_A_MESSAGE;
        self.stray = self.stray.saturating_sub(size + HEAD);
        let frames = self.stray.saturating_sub(READ_AHEAD) / FRAGMENTS;
        self.stray -= frames * FRAGMENTS;
        u32::try_from(frames).unwrap_or(u32::MAX)
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let come = buffer.filled().len() - before;
        self.left = self.left.saturating_sub(come);
        self.stray = self.stray.saturating_add(come);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
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
