//! A room's events: the records of its channel, as server-sent events.
//!
//! An event's id is its record's offset, so a client that lost its connection continues with `Last-Event-ID`. Without `from`, a
//! follower begins with new records, and a request that does not follow begins with the oldest record in the log. The first
//! event (`begin`) has that offset, so that a client whose connection breaks before the first record misses none. Texts that
//! players wrote, and texts that may repeat them, are included only with `content=true`. The handler that failed, and the line
//! of its author's script, are always included.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chorus_bus::Reader;
use chorus_core::{
    command::{Answer as RoomAnswer, Joining, OutputRef, Record, RoomCommand, RoomData},
    ids::{Digest, Offset, OutputId, RoomId},
    json::Json,
};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use tokio::sync::OwnedSemaphorePermit;
use warp::{
    Reply,
    http::{HeaderMap, HeaderValue, header},
    sse::Event,
};

use super::{
    Locate, Shared,
    answer::{Answer, ApiError},
};
use crate::api::Refusal;

/// The number of followers at a time. Each reads a whole partition and drops the records of other rooms.
pub const MAX_FOLLOWERS: usize = 32;

/// How long a request that does not follow waits for its last records: offsets may have gaps, even at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);

const SURE: &str = "names and texts of ours are always JSON";

/// So that proxies and clients see that the connection is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    from: Option<Offset>,
    follow: Option<bool>,
    content: Option<bool>,
}

pub(super) async fn events(state: &Arc<Shared>, room: RoomId, query: EventsQuery, headers: &HeaderMap) -> Answer {
    let busy = |_| ApiError::busy(format!("{MAX_FOLLOWERS} others follow rooms already"));
    let permit = state.followers.clone().try_acquire_owned().map_err(busy)?;
    let partition = room.partition(state.bus.partitions());
    let (start, end) = bounds(state, partition).await?;
    let follow = query.follow.unwrap_or(true);
    let from = after_last(headers).or(query.from).unwrap_or(if follow { end } else { start }).max(start);
    let follower = Follower {
        room,
        reader: state.bus.read(partition, from),
        until: (!follow).then_some(end),
        next: from,
        content: query.content.unwrap_or(false),
        scripts: Scripts::new(state.clone(), room).await?,
        begun: false,
        over: false,
        _permit: permit,
    };
    let events =
        warp::sse::keep_alive().interval(KEEP_ALIVE).stream(follower.events().map(Ok::<_, std::convert::Infallible>));
    let mut response = warp::sse::reply(events).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn bounds(state: &Shared, partition: u32) -> Result<(Offset, Offset), ApiError> {
    Ok((state.bus.start(partition).await?, state.bus.end(partition).await?))
}

fn after_last(headers: &HeaderMap) -> Option<Offset> {
    let last: Offset = headers.get("last-event-id")?.to_str().ok()?.parse().ok()?;
    last.checked_add(1)
}

struct Follower {
    room: RoomId,
    reader: Reader,
    /// `None`: without an end.
    until: Option<Offset>,
    /// The next offset to read.
    next: Offset,
    content: bool,
    scripts: Scripts,
    begun: bool,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// Reads on only when the client has taken the last batch: nothing is queued for a slow client.
    fn events(self) -> impl Stream<Item = Event> + Send {
        stream::unfold(self, async |mut follower| {
            let batch = follower.batch().await?;
            Some((stream::iter(batch), follower))
        })
        .flatten()
    }

    /// `None`: the end.
    async fn batch(&mut self) -> Option<Vec<Event>> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(vec![Event::default().event("begin").data(json!({ "from": self.next }).to_string())]);
        }
        if self.over || self.until.is_some_and(|until| self.next >= until) {
            return None;
        }
        let mut records = Vec::new();
        let read = self.reader.next(&mut records);
        let read = match self.until {
            None => read.await,
            // A record that does not arrive is a gap.
            Some(_) => tokio::time::timeout(LAST_WAIT, read).await.ok()?,
        };
        if let Err(error) = read {
            self.over = true;
            let what_to_do = "ask again from a later offset, or without `from`";
            let refusal = Refusal { error: error.to_string(), what_to_do: what_to_do.to_owned() };
            let refusal = serde_json::to_string(&refusal).expect(SURE);
            return Some(vec![Event::default().event("error").data(refusal)]);
        }
        if let Some((offset, _)) = records.last() {
            self.next = offset + 1;
        }
        let until = self.until.unwrap_or(Offset::MAX);
        let ours = records.iter().filter(|(offset, record)| record.room == self.room && *offset < until);
        let mut events = Vec::new();
        for (offset, record) in ours {
            let failure = self.scripts.failure(*offset, &record.command).await;
            let text = describe_record(*offset, record, self.content, failure.as_ref());
            events.push(Event::default().id(offset.to_string()).data(text));
        }
        Some(events)
    }
}

/// The number of records whose handlers are kept, so that a failure can name its handler: a failure follows its record soon.
const REMEMBERED: usize = 256;

/// The details of a failure beyond its record.
struct Failure {
    handler: Option<String>,
    at: Option<String>,
    /// The text, with the author's lines.
    text: String,
}

/// The room's component and its latest handlers, as far as failures need them.
struct Scripts {
    shared: Arc<Shared>,
    component: Option<Digest>,
    /// The places in that component, once they were needed.
    locate: Option<(Digest, Locate)>,
    handlers: BTreeMap<Offset, String>,
}

impl Scripts {
    async fn new(shared: Arc<Shared>, room: RoomId) -> Result<Scripts, ApiError> {
        let component = shared.store.room(room).await?.map(|row| row.component);
        Ok(Scripts { shared, component, locate: None, handlers: BTreeMap::new() })
    }

    /// For a record of a failure: the handler that failed, where, and why.
    async fn failure(&mut self, offset: Offset, command: &RoomCommand) -> Option<Failure> {
        match command {
            RoomCommand::Create { component, .. } | RoomCommand::Swap { component, .. } => {
                self.component = Some(*component);
            }
            _ => {}
        }
        if let Some(handler) = handler(command) {
            self.handlers.insert(offset, handler);
            if self.handlers.len() > REMEMBERED {
                self.handlers.pop_first();
            }
        }
        let (of, text) = match command {
            RoomCommand::Fault { at, fault } => (Some(at.offset), fault.to_string()),
            RoomCommand::Threw { at, text } => (Some(at.offset), text.to_string()),
            RoomCommand::Close { reason } => (None, reason.to_string()),
            _ => return None,
        };
        let text = self.readable(text).await;
        let handler = of.and_then(|of| self.handlers.get(&of).cloned());
        let at = text.lines().find_map(|line| line.trim_start().strip_prefix("at ")).map(str::to_owned);
        Some(Failure { handler, at, text })
    }

    /// Without the component the text stays as it is.
    async fn readable(&mut self, text: String) -> String {
        let Some(component) = self.component else { return text };
        if self.locate.as_ref().is_none_or(|(of, _)| *of != component) {
            let store = self.shared.store.clone();
            // A task of its own: a stream of events has to be `Sync`, and the store's future is not.
            let found = tokio::spawn(async move { store.component(component).await }).await;
            let Ok(Ok(Some(wasm))) = found else { return text };
            self.locate = Some((component, (self.shared.hooks.locator)(&wasm)));
        }
        self.locate.as_ref().map_or(text.clone(), |(_, locate)| locate(&text))
    }
}

/// The handler that a record calls, by its author's name for it. A message's type is shown only once its handler has failed:
/// then the type comes from the script, not from a player.
fn handler(command: &RoomCommand) -> Option<String> {
    Some(match command {
        RoomCommand::Create { .. } => "onCreate".into(),
        RoomCommand::Join(_) => "onJoin".into(),
        RoomCommand::Message { kind, .. } => format!("messages.{kind}"),
        RoomCommand::Drop { .. } => "onDrop".into(),
        RoomCommand::Reconnect { .. } => "onReconnect".into(),
        RoomCommand::Leave { .. } => "onLeave".into(),
        RoomCommand::Timer { name: Some(name), .. } => format!("timers.{name}"),
        RoomCommand::RoomMessage { data: RoomData::Message(_), .. } => "onRoomMessage".into(),
        RoomCommand::RoomMessage { .. } => "onRoomEnd".into(),
        RoomCommand::Close { .. } => "onDispose".into(),
        _ => return None,
    })
}

/// A record for people, as JSON. `content`: with the players' texts, to the last digit and in their order.
fn describe_record(offset: Offset, record: &Record, content: bool, failure: Option<&Failure>) -> String {
    let mut fields = Fields { map: BTreeMap::new(), content };
    fields.put("offset", offset);
    fields.put("time", record.time.0);
    fields.command(&record.command);
    if let Some(Failure { handler, at, text }) = failure {
        if let Some(handler) = handler {
            fields.put("handler", handler);
        }
        if let Some(at) = at {
            fields.put("at", at);
        }
        let name = if matches!(record.command, RoomCommand::Close { .. }) { "reason" } else { "text" };
        fields.text(name, text);
    }
    serde_json::to_string(&fields.map).expect(SURE)
}

struct Fields {
    map: BTreeMap<&'static str, Box<RawValue>>,
    content: bool,
}

impl Fields {
    fn command(&mut self, command: &RoomCommand) {
        match command {
            RoomCommand::Create { kind, component, options, creator, secret: _, allowance } => {
                self.what("create").put("kind", kind.as_str()).put("component", component.to_string());
                self.source("creator", creator).put("allowance", *allowance).json("options", options);
            }
            RoomCommand::Join(Joining { session, player, edge, request: _, message_id, options, from }) => {
                self.what("join").put("session", session.to_string()).put("player", &*player.id);
                self.put("edge", edge.to_string()).put("message_id", *message_id).source("from", from);
                self.text("name", &player.name).json("options", options);
            }
            RoomCommand::Message { session, message_id, kind, data } => {
                self.what("message").put("session", session.to_string()).put("message_id", *message_id);
                self.put("bytes", data.len()).text("type", kind).json("data", data);
            }
            RoomCommand::Drop { session, edge, code } => {
                self.what("drop").put("session", session.to_string()).put("edge", edge.to_string()).put("code", *code);
            }
            RoomCommand::Reconnect { session, edge, request: _, last_seq } => {
                self.what("reconnect").put("session", session.to_string()).put("edge", edge.to_string());
                self.put("last_seq", *last_seq);
            }
            RoomCommand::Leave { session, reason } => {
                self.what("leave").put("session", session.to_string()).put("reason", reason.as_str());
            }
            RoomCommand::Timer { id, name } => {
                self.what("timer").number("id", id).put("name", name.as_deref());
            }
            RoomCommand::RoomMessage { from, number, data } => {
                self.what("room-message").put("from", from.to_string()).number("number", number).room_data(data);
            }
            RoomCommand::Answer { request, answer } => {
                self.what("answer").number("request", request).answer(answer);
            }
            RoomCommand::Swap { component, rollout } => {
                self.what("swap").put("component", component.to_string()).put("rollout", rollout.as_deref());
            }
            RoomCommand::Fault { at, fault } => {
                self.what("fault").put("of", at.offset).put("fault", fault.as_str()).text("text", &fault.to_string());
            }
            RoomCommand::Close { reason } => {
                self.what("close").text("reason", reason);
            }
            RoomCommand::Threw { at, text } => {
                self.what("threw").put("of", at.offset).text("text", text);
            }
        }
    }

    fn room_data(&mut self, data: &RoomData) {
        match data {
            RoomData::Message(data) => self.put("bytes", data.len()).json("data", data),
            RoomData::Ended { outcome, failed } => {
                self.put("ended", true).put("failed", failed.is_some()).json("outcome", outcome);
                self.text("reason", failed.as_deref().unwrap_or_default())
            }
        };
    }

    fn answer(&mut self, answer: &RoomAnswer) {
        match answer {
            RoomAnswer::MoveRefused { session, room, reason } => self
                .put("refused", "move")
                .put("session", session.to_string())
                .put("room", room.to_string())
                .text("reason", reason),
            RoomAnswer::CreateFailed { room, reason } => {
                self.put("refused", "create").put("room", room.to_string()).text("reason", reason)
            }
        };
    }

    fn what(&mut self, command: &'static str) -> &mut Fields {
        self.put("command", command)
    }

    fn put(&mut self, name: &'static str, value: impl Serialize) -> &mut Fields {
        self.map.insert(name, to_raw_value(&value).expect(SURE));
        self
    }

    fn number(&mut self, name: &'static str, number: &OutputId) -> &mut Fields {
        self.put(name, format!("{}.{}", number.offset, number.index))
    }

    fn source(&mut self, name: &'static str, source: &Option<OutputRef>) -> &mut Fields {
        let source = source.map(|OutputRef { room, number }| format!("{room} {}.{}", number.offset, number.index));
        self.put(name, source)
    }

    /// A text that a player or a script may have written.
    fn text(&mut self, name: &'static str, text: &str) -> &mut Fields {
        if self.content {
            self.put(name, text);
        }
        self
    }

    fn json(&mut self, name: &'static str, json: &Json) -> &mut Fields {
        if self.content {
            self.put(name, RawValue::from_string(json.as_str().to_owned()).ok());
        }
        self
    }
}
