//! A room's events: the records of its channel, as server-sent events.
//!
//! An event's id is its record's offset, so a client that lost its connection continues with `Last-Event-ID`. Without `from`, a
//! follower begins with new records, and a request that does not follow begins with the oldest record in the log. The first
//! event (`begin`) has that offset, so that a client whose connection breaks before the first record misses none. Texts that
//! players wrote, and texts that may repeat them, are included only with `content=true`. The handler that failed, and the line
//! of its author's script, are always included.

use std::{sync::Arc, time::Duration};

use chorus_bus::Reader;
use chorus_core::ids::{Offset, RoomId};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use warp::{
    Reply,
    http::{HeaderMap, HeaderValue, header},
    sse::Event,
};

use super::{
    Api,
    answer::{Answer, ApiError},
    failures::Scripts,
    records::describe,
};
use crate::api::Refusal;

/// The number of followers at a time. Each reads a whole partition and drops the records of other rooms.
pub const MAX_FOLLOWERS: usize = 32;

/// How long a request that does not follow waits for its last records: offsets may have gaps, even at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// So that proxies and clients see that the connection is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    from: Option<Offset>,
    follow: Option<bool>,
    content: Option<bool>,
}

pub(super) async fn events(api: &Arc<Api>, room: RoomId, query: EventsQuery, headers: &HeaderMap) -> Answer {
    let busy = |_| ApiError::busy(format!("{MAX_FOLLOWERS} others follow rooms already"));
    let permit = api.followers.clone().try_acquire_owned().map_err(busy)?;
    let partition = room.partition(api.bus.partitions());
    let (start, end) = bounds(api, partition).await?;
    let follow = query.follow.unwrap_or(true);
    let from = after_last(headers).or(query.from).unwrap_or(if follow { end } else { start }).max(start);
    let follower = Follower {
        room,
        reader: api.bus.read(partition, from),
        until: (!follow).then_some(end),
        next: from,
        content: query.content.unwrap_or(false),
        scripts: Scripts::new(api.clone(), room).await?,
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

async fn bounds(api: &Api, partition: u32) -> Result<(Offset, Offset), ApiError> {
    Ok((api.bus.start(partition).await?, api.bus.end(partition).await?))
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
            let refusal = serde_json::to_string(&refusal).expect("its texts are always JSON");
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
            let text = describe(*offset, record, self.content, failure.as_ref());
            events.push(Event::default().id(offset.to_string()).data(text));
        }
        Some(events)
    }
}
