//! A client for the API.

use std::net::SocketAddr;

use bytes::Bytes;
use chorus_testing::within;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::TOKEN;

pub async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Bytes,
) -> (StatusCode, Value) {
    let response = send(address, method, path, token, body).await;
    let status = response.status();
    let body = within("the body", response.into_body().collect()).await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Bytes,
) -> hyper::Response<Incoming> {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("an HTTP connection");
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(body)).expect("a request");
    within("the answer", sender.send_request(request)).await.expect("an answer")
}

/// Server-sent events.
pub struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    pub async fn open(address: SocketAddr, path: &str) -> Events {
        let response = send(address, "GET", path, Some(TOKEN), Bytes::new()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { body: response.into_body(), text: String::new() }
    }

    /// The first bytes of the stream.
    pub async fn raw(mut self) -> String {
        let frame = within("an event", self.body.frame()).await.expect("there is one").expect("the line holds");
        String::from_utf8_lossy(frame.data_ref().expect("data")).into_owned()
    }

    /// The next one's id and data. `None`: the end.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let data = field("data:").filter(|_| field("event:").is_none());
                let event = data.map(|data| {
                    let id = field("id:").unwrap_or_default().trim().to_owned();
                    (id, serde_json::from_str(data).expect("JSON"))
                });
                self.text = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    None => continue, // The first event, or a comment that keeps the connection alive.
                }
            }
            let frame = within("an event", self.body.frame()).await?.expect("the line holds");
            if let Some(data) = frame.data_ref() {
                self.text.push_str(std::str::from_utf8(data).expect("UTF-8"));
            }
        }
    }
}
