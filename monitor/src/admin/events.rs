//! What happens in a room: the records of its channel, as server-sent events.
//!
//! An event's id is its record's offset, so a client that lost its connection goes on with `Last-Event-ID`. Without
//! `from`, one that follows begins with what comes, and one that does not begins with the oldest that is kept; where
//! that is, the first event says (`begin`), so that nothing is missed when the line breaks before a record comes. What
//! players wrote, and texts that may repeat it, are in there only if `content=true` asks for them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chorus_bus::Reader;
use chorus_core::{
    command::{Answer as RoomAnswer, Fault, LeaveReason, Record, RoomCommand, RoomData, Source},
    ids::{Number, Offset, RoomId},
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
    Shared,
    answer::{Answer, ApiError},
};

/// Who may follow at a time. Each reads a whole partition and throws away what is of other rooms.
pub const MAX_FOLLOWERS: usize = 32;

/// How long whoever does not follow waits for a record that should be there: offsets may leave some out, the last too.
const LAST_WAIT: Duration = Duration::from_secs(5);

const SURE: &str = "names and texts of ours are always JSON";

/// So that proxies and clients see that the line is good.
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
    /// `None`: for ever.
    until: Option<Offset>,
    /// Everything before has been read.
    next: Offset,
    content: bool,
    begun: bool,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// Reads on only when the client has taken what was there: nothing is queued for a slow one.
    fn events(self) -> impl Stream<Item = Event> + Send {
        stream::unfold(self, async |mut follower| {
            let batch = follower.batch().await?;
            Some((stream::iter(batch), follower))
        })
        .flatten()
    }

    /// `None`: that is all.
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
            // A record that never comes was left out.
            Some(_) => tokio::time::timeout(LAST_WAIT, read).await.ok()?,
        };
        if let Err(error) = read {
            self.over = true;
            let what_to_do = "ask again from a later offset, or without `from`";
            let said = json!({ "error": error.to_string(), "do": what_to_do });
            return Some(vec![Event::default().event("error").data(said.to_string())]);
        }
        if let Some((offset, _)) = records.last() {
            self.next = offset + 1;
        }
        let until = self.until.unwrap_or(Offset::MAX);
        let ours = records.iter().filter(|(offset, record)| record.room == self.room && *offset < until);
        Some(ours.map(|(offset, record)| event(*offset, record, self.content)).collect())
    }
}

fn event(offset: Offset, record: &Record, content: bool) -> Event {
    Event::default().id(offset.to_string()).data(describe(offset, record, content))
}

/// A record for people, as JSON. `content`: with what players wrote, to the last digit and in its order.
pub(super) fn describe(offset: Offset, record: &Record, content: bool) -> String {
    let mut fields = Fields { map: BTreeMap::new(), content };
    fields.put("offset", offset);
    fields.put("time", record.time.0);
    fields.command(&record.command);
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
            RoomCommand::Join { session, player, edge, question: _, client_seq, options, from } => {
                self.what("join").put("session", session.to_string()).put("player", &*player.id);
                self.put("edge", edge.to_string()).put("client_seq", *client_seq).source("from", from);
                self.text("name", &player.name).json("options", options);
            }
            RoomCommand::Message { session, client_seq, kind, data } => {
                self.what("message").put("session", session.to_string()).put("client_seq", *client_seq);
                self.put("bytes", data.len()).text("type", kind).json("data", data);
            }
            RoomCommand::Drop { session, edge, code } => {
                self.what("drop").put("session", session.to_string()).put("edge", edge.to_string()).put("code", *code);
            }
            RoomCommand::Reconnect { session, edge, question: _, last_seq } => {
                self.what("reconnect").put("session", session.to_string()).put("edge", edge.to_string());
                self.put("last_seq", *last_seq);
            }
            RoomCommand::Leave { session, reason } => {
                self.what("leave").put("session", session.to_string()).put("reason", leave_reason(*reason));
            }
            RoomCommand::Timer { id } => {
                self.what("timer").number("id", id);
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
                self.what("fault")
                    .put("of", at.offset)
                    .put("fault", fault_kind(fault))
                    .text("text", &fault.to_string());
            }
            RoomCommand::Close { reason } => {
                self.what("close").text("reason", reason);
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

    fn number(&mut self, name: &'static str, number: &Number) -> &mut Fields {
        self.put(name, format!("{}.{}", number.offset, number.index))
    }

    fn source(&mut self, name: &'static str, source: &Option<Source>) -> &mut Fields {
        let source = source.map(|Source { room, number }| format!("{room} {}.{}", number.offset, number.index));
        self.put(name, source)
    }

    /// What a player or a script may have written.
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

fn leave_reason(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left => "left",
        LeaveReason::Moved => "moved",
        LeaveReason::TimedOut => "timed-out",
        LeaveReason::Kicked => "kicked",
        LeaveReason::Replaced => "replaced",
        LeaveReason::Ended => "ended",
    }
}

fn fault_kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Threw(_) => "threw",
        Fault::Trapped(_) => "trapped",
        Fault::OutOfFuel(_) => "out-of-fuel",
        Fault::OutOfMemory(_) => "out-of-memory",
        Fault::TooMuch(_) => "too-much",
        Fault::Garbage(_) => "garbage",
    }
}
