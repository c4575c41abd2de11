//! The inspector: what the author sees of running rooms, and what the author does to them. With the requests of the front page's
//! button, this is all under `/dev` that is no page and no build.
//!
//! | route | what |
//! |---|---|
//! | `GET /dev/process` | this life of the process |
//! | `POST /dev/kill` | ends the process at once, and the next one begins: see [`super::again`] |
//! | `GET /dev/inspector/rooms` | the rooms, the latest first: see [`rooms`] |
//! | `GET /dev/inspector/rooms/{id}/events` | a room's state, views, records and outputs, as server-sent events: see [`follow`] |
//! | `POST /dev/inspector/rooms/{id}/send` | `{session, type, data?}`: a message in a member's name |
//! | `POST /dev/inspector/rooms/{id}/end` | ends the room |
//! | `POST /dev/inspector/rooms/{id}/crash` | drops the room's instance; another takes its place by replay |
//!
//! **Reading.** State, views and outputs come from a replica: the room's machine and script from its snapshot and its log, as
//! another host would have them, whose outputs go to the inspector alone. It is exact, since a room is a function of its records,
//! and the running room does not differ by it: nothing is appended, its instance is not called. To ask the running instance for its
//! state would be a call that costs its members' time, and it has not kept the outputs.
//!
//! **Acting.** What changes a room is a record in its channel, as from anybody else. A message in a member's name has the number
//! that no client uses ([`AUTHORS_MESSAGE`]): it takes no number from that member's client, and has no answer.
//!
//! Bounds: [`follow::MAX_REPLICAS`] rooms are followed at a time, each by one page; a body has [`MAX_BODY`] bytes; events are
//! bounded in [`follow`] and [`shown`].

mod follow;
mod replica;
mod rooms;
mod shown;

use std::sync::Arc;

use bytes::Buf;
use chorus_bus::Bus;
use chorus_core::{
    command::{AUTHORS_MESSAGE, Record, RoomCommand},
    frame::{ClientFrame, MAX_FRAME},
    ids::{Offset, RoomId, SessionId},
};
use chorus_edge::Peer;
use chorus_host::{Host, guest::Engine};
use chorus_store::{RoomStatus, Store};
use futures_util::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};
use tokio::sync::Semaphore;
use warp::{
    Filter as _, Reply as _,
    filters::BoxedFilter,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{
    access::{self, Sender},
    again::Life,
};

/// A message of a client has 64 KiB, and its escapes in JSON may be longer.
const MAX_BODY: usize = 256 * 1024;

/// What the routes use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inspector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bus: Bus,
    store: Store,
    host: Host,
    /// The rooms' own: a component is compiled once. A replica takes an instance of its pool.
    engine: Engine,
    life: Life,
    replicas: Arc<Semaphore>,
}

/// An answer that is no success: its status, and what is wrong.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Refusal {
    fn new(status: StatusCode, what: impl Into<String>) -> Refusal {
        Refusal(status, what.into())
    }

    fn failed(error: &impl std::error::Error) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

type Answer = Result<Response, Refusal>;

impl Inspector {
    pub fn new(bus: &Bus, store: &Store, host: &Host, engine: &Engine, life: &Life) -> Inspector {
        let (bus, store, host, engine, life) = (bus.clone(), store.clone(), host.clone(), engine.clone(), life.clone());
        let replicas = Arc::new(Semaphore::new(follow::MAX_REPLICAS));
        Inspector(Arc::new(Shared { bus, store, host, engine, life, replicas }))
    }
}

/// Other paths, and requests that are not the author's, are rejected as not found.
pub fn routes(inspector: Inspector) -> BoxedFilter<(Response,)> {
    warp::path::full()
        .and(warp::ext::optional::<Peer>())
        .and(warp::header::headers_cloned())
        .and_then(async |path: warp::path::FullPath, peer: Option<Peer>, headers: HeaderMap| {
            match path.as_str().strip_prefix("/dev/").filter(|path| is_ours(path)) {
                Some(path) if access::is_author(peer, &headers) => Ok((path.to_owned(), headers)),
                _ => Err(warp::reject::not_found()),
            }
        })
        .untuple_one()
        .and(warp::method())
        .and(warp::body::stream())
        .then(move |path: String, headers: HeaderMap, method: Method, body| {
            let inspector = inspector.clone();
            async move {
                let mut response = match answer(&inspector, &path, &method, &headers, body).await {
                    Ok(response) => response,
                    Err(Refusal(status, error)) => {
                        warp::reply::with_status(warp::reply::json(&json!({ "error": error })), status).into_response()
                    }
                };
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
        })
        .boxed()
}

fn is_ours(path: &str) -> bool {
    matches!(path, "process" | "kill") || path.starts_with("inspector/")
}

async fn answer<B: Buf>(
    inspector: &Inspector,
    path: &str,
    method: &Method,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>> + Send,
) -> Answer {
    let sender = access::sender(headers);
    if sender == Sender::Other {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "a page of another origin may not do this"));
    }
    let shared = &inspector.0;
    let segments: Vec<&str> = path.split('/').collect();
    let (get, post) = (method == Method::GET, method == Method::POST);
    match segments[..] {
        ["process"] if get => Ok(success(&shared.life.show())),
        // By a program it is killed by its id: this is the page's.
        ["kill"] if post && sender == Sender::Own => Err(Refusal::failed(&shared.life.end())),
        ["kill"] if post => Err(Refusal::new(StatusCode::FORBIDDEN, "only a page of this server may do this")),
        ["inspector", "rooms"] if get => rooms::list(&shared.store, &shared.host).await,
        ["inspector", "rooms", id, "events"] if get => follow::events(shared, room(id)?).await,
        ["inspector", "rooms", id, "send"] if post => send(shared, room(id)?, read(body).await?).await,
        ["inspector", "rooms", id, "end"] if post => end(shared, room(id)?).await,
        ["inspector", "rooms", id, "crash"] if post => crash(shared, room(id)?).await,
        _ => {
            Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing here; see \"Seeing inside\" in docs/testing.md"))
        }
    }
}

fn success(value: &impl Serialize) -> Response {
    warp::reply::json(value).into_response()
}

fn room(id: &str) -> Result<RoomId, Refusal> {
    id.parse().map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "a room's id has 32 hexadecimal digits"))
}

async fn read<B: Buf, T: DeserializeOwned>(
    body: impl Stream<Item = Result<B, warp::Error>> + Send,
) -> Result<T, Refusal> {
    let mut body = std::pin::pin!(body);
    let mut whole = Vec::new();
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        if whole.len() + part.remaining() > MAX_BODY {
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has {MAX_BODY} bytes at most")));
        }
        while part.has_remaining() {
            let chunk = part.chunk();
            whole.extend_from_slice(chunk);
            let read = chunk.len();
            part.advance(read);
        }
    }
    serde_json::from_slice(&whole).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
}

// ---- acting ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    session: String,
    #[serde(rename = "type")]
    msg_type: String,
    data: Option<Box<RawValue>>,
}

/// What a client would send.
#[derive(Serialize)]
struct Frame {
    t: &'static str,
    id: u64,
    #[serde(rename = "type")]
    msg_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

/// The message is checked as an edge checks it from a client.
async fn send(shared: &Shared, room: RoomId, Message { session, msg_type, data }: Message) -> Answer {
    let bad = |what: String| Refusal::new(StatusCode::BAD_REQUEST, what);
    let session: SessionId = session.parse().map_err(|_| bad("a session's id has 32 hexadecimal digits".into()))?;
    let frame = Frame { t: "msg", id: 1, msg_type, data };
    let frame = serde_json::to_string(&frame).map_err(|error| bad(error.to_string()))?;
    if frame.len() > MAX_FRAME {
        return Err(bad(format!("a message has {MAX_FRAME} bytes at most")));
    }
    let message = match ClientFrame::parse(&frame) {
        Ok(ClientFrame::Msg(message)) => message,
        Ok(_) => return Err(bad("this is no message".into())),
        Err(error) => return Err(bad(error.message.to_string())),
    };
    let (msg_type, data) = (message.msg_type, message.data);
    let offset =
        append(shared, room, RoomCommand::Message { session, message_id: AUTHORS_MESSAGE, msg_type, data }).await?;
    Ok(success(&json!({ "offset": offset })))
}

async fn end(shared: &Shared, room: RoomId) -> Answer {
    let offset = append(shared, room, RoomCommand::Close { reason: "ended in the inspector".into() }).await?;
    Ok(success(&json!({ "offset": offset })))
}

async fn crash(shared: &Shared, room: RoomId) -> Answer {
    let rebuilt = shared.host.lose_instance(room).await.ok_or_else(|| {
        let what = "the room has no instance: it hibernates, and gets one with its next record";
        Refusal::new(StatusCode::CONFLICT, what)
    })?;
    let (before, after) = (rebuilt.before.map(|hash| hash.to_string()), rebuilt.after.map(|hash| hash.to_string()));
    let ms = rebuilt.took.as_secs_f64() * 1e3;
    Ok(success(&json!({ "offset": rebuilt.offset, "before": before, "after": after, "ms": ms })))
}

/// To a room that lives: a record for another would stay in the log for nothing.
async fn append(shared: &Shared, room: RoomId, command: RoomCommand) -> Result<Option<Offset>, Refusal> {
    let row = shared.store.room(room).await.map_err(|error| Refusal::failed(&error))?;
    let lives = row.as_ref().map_or_else(|| shared.host.is_live(room), |row| row.status == RoomStatus::Live);
    if !lives {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such room, or it has ended"));
    }
    let record = Record { room, time: shared.store.clock().now(), command };
    let append = shared.bus.append_retrying(&record).await.map_err(|error| Refusal::failed(&error))?;
    append.await.map_err(|error| Refusal::failed(&error))
}
