//! The floor: the least work of a WebSocket server in Rust for a message. No rooms, no log, no sessions.
//!
//! Like chorus, it encodes a frame once for all receivers, and writes all queued frames of a connection in one call. Its queues
//! are unbounded: it exists to be measured, by players that read.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, UnboundedSender},
};
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
        protocol::WebSocketConfig,
    },
};

type All = Arc<Mutex<Vec<UnboundedSender<Message>>>>;

/// Serves until the process ends.
pub async fn run(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    println!("the floor is at ws://{}/echo", listener.local_addr()?);
    let serving = tokio::spawn(async move {
        let all = All::default();
        loop {
            let (stream, _) = listener.accept().await?;
            let all = all.clone();
            // A player that disconnects early is no error.
            tokio::spawn(async move { serve(stream, all).await });
        }
    });
    serving.await?
}

async fn serve(stream: TcpStream, all: All) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut repeats = false;
    // The type is defined by the library.
    #[allow(clippy::result_large_err)]
    let path = |request: &Request, response: Response| {
        repeats = request.uri().path() == "/all";
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(2 * 1024).write_buffer_size(16 * 1024);
    let socket = accept_hdr_async_with_config(stream, path, Some(config)).await?;
    if repeats { repeat(socket, all).await } else { echo(socket).await }
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

async fn echo(mut socket: Socket) -> anyhow::Result<()> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn repeat(mut socket: Socket, all: All) -> anyhow::Result<()> {
    let (sender, mut waiting) = mpsc::unbounded_channel();
    all.lock().expect("nobody panics while holding it").push(sender);
    let mut messages = Vec::new();
    loop {
        tokio::select! {
            Some(message) = socket.next() => {
                let message = message?;
                if message.is_text() {
                    let mut all = all.lock().expect("nobody panics while holding it");
                    all.retain(|one| one.send(message.clone()).is_ok());
                }
            }
            count = waiting.recv_many(&mut messages, 256) => {
                if count == 0 {
                    return Ok(());
                }
                for message in messages.drain(..) {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
            else => return Ok(()),
        }
    }
}
