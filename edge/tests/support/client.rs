//! Clients: one that uses the protocol, and one that sends raw bytes.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::within;

/// A client that uses the protocol.
pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
    pub resume: String,
    pub session: String,
}

impl Client {
    /// The error is the status of the response, when the connection is not upgraded.
    pub async fn connect(edge: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Client, u16> {
        let mut request = format!("ws://{edge}/ws").into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a header"));
        }
        let stream = tcp(edge).await;
        match within("the upgrade", client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Client { socket, resume: String::new(), session: String::new() }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        within("the socket", self.socket.send(message)).await.expect("sent");
    }

    /// Sends a message to the current room.
    pub async fn message(&mut self, id: u64, message_type: &str, data: &str) {
        self.send(&format!(r#"{{"t":"msg","id":{id},"type":"{message_type}","data":{data}}}"#)).await;
    }

    /// The next frame, with any tag.
    pub async fn next(&mut self) -> Value {
        loop {
            match self.next_message().await {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a frame: {other:?}"),
            }
        }
    }

    pub async fn next_message(&mut self) -> Message {
        within("a frame", self.socket.next()).await.expect("not the end").expect("a frame")
    }

    /// The next frame, which has this tag.
    pub async fn frame(&mut self, tag: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["t"], tag, "{frame}");
        frame
    }

    pub async fn welcome(&mut self) -> Value {
        let welcome = self.frame("welcome").await;
        self.resume = welcome["resume"].as_str().expect("a token").to_owned();
        self.session = welcome["session"].as_str().expect("a session").to_owned();
        welcome
    }

    /// The next frame, which is an error.
    pub async fn error(&mut self, code: &str, id: Option<u64>) -> Value {
        let error = self.frame("error").await;
        assert_eq!((error["code"].as_str(), error["id"].as_u64()), (Some(code), id), "{error}");
        error
    }

    /// Skips frames until the connection is closed. Returns the close code.
    pub async fn close_code(&mut self) -> u16 {
        self.closed().await.0
    }

    /// Skips frames until the connection is closed. Returns the close code and the reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.next_message().await {
                let frame = frame.expect("a code");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }
}

/// A client that sends raw bytes.
pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn connect(edge: SocketAddr) -> Raw {
        Raw(tcp(edge).await)
    }

    /// Requests an upgrade to a WebSocket, and gets it.
    pub async fn upgrade(&mut self) {
        self.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n").await;
        self.send(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").await;
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        within("the socket", self.0.write_all(bytes)).await.expect("sent");
    }

    pub async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send(&frame(first, payload)).await;
    }

    /// The head of an HTTP response.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within("a head", self.0.read_u8()).await.expect("a byte"));
        }
        String::from_utf8(head).expect("text")
    }

    /// Reads until the connection is closed. Returns the code of the last close frame, if there was one.
    pub async fn close_code(&mut self) -> Option<u16> {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let _ = within("the end", self.0.read_to_end(&mut bytes)).await;
        let mut code = None;
        let mut rest = &bytes[..];
        while let [first, length, tail @ ..] = rest {
            let (length, tail) = match (length & 0x7f, tail) {
                (126, [high, low, tail @ ..]) => (usize::from(*high) << 8 | usize::from(*low), tail),
                (length, tail) => (usize::from(length), tail),
            };
            let (payload, tail) = tail.split_at(length.min(tail.len()));
            if let (0x88, [high, low, ..]) = (first, payload) {
                code = Some(u16::from_be_bytes([*high, *low]));
            }
            rest = tail;
        }
        code
    }
}

/// A frame of a client, with a mask of zeros. `first` is the byte with the opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(0x80 | length as u8),
        length @ ..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

async fn tcp(edge: SocketAddr) -> TcpStream {
    within("a connection", TcpStream::connect(edge)).await.expect("connected")
}
