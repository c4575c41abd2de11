//! A room's events for one page: what its copy does, as server-sent events.
//!
//! | event | data |
//! |---|---|
//! | `begin` | the room, and how many of the records since its snapshot are left out |
//! | `state` | the room's state, its members and their views: at first, and after records, at most every [`STATE_EVERY`] |
//! | `record` | a record with its outputs, as it is applied |
//! | `left-out` | so many records came at once that the first ones are not shown |
//! | `dropped` | the last event: why there are no more |
//!
//! Bounds: [`MAX_REPLICAS`] pages; [`QUEUE`] events wait for a page, and one that takes none for [`SLOW`] is dropped; of the records
//! that come at once [`SHOWN_AT_ONCE`] are shown.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use chorus_core::{
    command::Record,
    ids::{Offset, RoomId},
};
use chorus_host::Components;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::Instant,
};
use warp::{Reply as _, http::StatusCode, sse};

use super::{
    super::events::beginning,
    Answer, Refusal, Shared,
    replica::{CannotCopy, Replica},
    shown,
};

/// Each has an instance of a script, and reads its room's partition.
pub const MAX_REPLICAS: usize = 8;

/// A state is saved for each of its events, which costs about as much as a message.
const STATE_EVERY: Duration = Duration::from_millis(100);

/// The latest of the records that come at once.
const SHOWN_AT_ONCE: usize = 200;

/// Events that wait for a page.
const QUEUE: usize = 64;

/// A page that takes no event for so long is asleep or gone.
const SLOW: Duration = Duration::from_secs(10);

/// Why a page gets no more events.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("the page has gone")]
    Gone,
    #[error("the page has taken no event for {} s", SLOW.as_secs())]
    Slow,
    #[error("the room has ended")]
    Ended,
    #[error("the copy of the room cannot go on: {0}")]
    Copy(#[from] CannotCopy),
}

struct Event {
    name: &'static str,
    data: String,
}

/// The sending end of a page's events.
struct Sink {
    queue: mpsc::Sender<Event>,
    /// How long it waits for a page that takes none: [`SLOW`].
    patience: Duration,
}

impl Sink {
    async fn send(&self, name: &'static str, data: String) -> Result<(), Over> {
        self.queue.send_timeout(Event { name, data }, self.patience).await.map_err(|error| match error {
            mpsc::error::SendTimeoutError::Timeout(_) => Over::Slow,
            mpsc::error::SendTimeoutError::Closed(_) => Over::Gone,
        })
    }
}

/// The events that wait for a page: the end that the copy fills, and what the page takes. The reason why there are no more is the last event.
fn queue(patience: Duration, reason: Arc<OnceLock<String>>) -> (Sink, impl Stream<Item = Event> + Send + 'static) {
    let (queue, mut receiver) = mpsc::channel::<Event>(QUEUE);
    let mut over = false;
    let events = stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|event| match event {
            Some(event) => Some(event),
            None if std::mem::replace(&mut over, true) => None,
            None => {
                let reason = reason.get().map_or("the server stops", String::as_str);
                Some(Event { name: "dropped", data: serde_json::json!({ "reason": reason }).to_string() })
            }
        })
    });
    (Sink { queue, patience }, events)
}

pub async fn events(shared: &Arc<Shared>, room: RoomId) -> Answer {
    let busy = |_| {
        let what = format!("{MAX_REPLICAS} rooms are inspected already: close one of those pages");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, what)
    };
    let permit = shared.replicas.clone().try_acquire_owned().map_err(busy)?;
    let components = Components::new(shared.engine.clone(), shared.store.clone());
    let (replica, tail) = Replica::begin(&shared.bus, &shared.store, components, room).await.map_err(refused)?;
    let reason = Arc::new(OnceLock::new());
    let (sink, events) = queue(SLOW, reason.clone());
    tokio::spawn(run(replica, tail, room, sink, reason, permit));
    let events = events.map(|Event { name, data }| sse::Event::default().event(name).data(data));
    let events = stream::iter([beginning()]).chain(events).map(Ok::<_, Infallible>);
    Ok(sse::reply(sse::keep_alive().stream(events)).into_response())
}

fn refused(error: CannotCopy) -> Refusal {
    match error {
        CannotCopy::NoRoom => Refusal::new(StatusCode::NOT_FOUND, error.to_string()),
        error => Refusal::failed(&error),
    }
}

/// Until the page has gone, or the room has ended, or one of them is too slow. The instance is dropped with the copy.
async fn run(
    mut replica: Replica,
    tail: Vec<(Offset, Record)>,
    room: RoomId,
    sink: Sink,
    reason: Arc<OnceLock<String>>,
    _permit: OwnedSemaphorePermit,
) {
    let over = match follow(&mut replica, tail, room, &sink).await {
        Err(over) => over,
        Ok(never) => match never {},
    };
    if let Over::Slow | Over::Copy(_) = over {
        tracing::warn!(%room, reason = %over, "an inspector is dropped");
    }
    // Nobody else sets it, and the page is shown it when the queue is closed.
    let _ = reason.set(over.to_string());
}

async fn follow(
    replica: &mut Replica,
    tail: Vec<(Offset, Record)>,
    room: RoomId,
    sink: &Sink,
) -> Result<Infallible, Over> {
    sink.send("begin", shown::begin(room, tail.len().saturating_sub(SHOWN_AT_ONCE))).await?;
    apply(replica, tail, sink).await?;
    show_state(replica, sink).await?;
    let mut shown_at = Instant::now();
    let mut changed = false;
    loop {
        tokio::select! {
            () = sink.queue.closed() => return Err(Over::Gone),
            records = replica.next() => {
                let records = records?;
                let first = records.len().saturating_sub(SHOWN_AT_ONCE);
                if first > 0 {
                    sink.send("left-out", serde_json::json!({ "records": first }).to_string()).await?;
                }
                apply(replica, records, sink).await?;
                changed = true;
            }
            () = tokio::time::sleep_until(shown_at + STATE_EVERY), if changed => {
                show_state(replica, sink).await?;
                (shown_at, changed) = (Instant::now(), false);
            }
        }
    }
}

/// Applies all of them, and shows the last ones.
async fn apply(replica: &mut Replica, records: Vec<(Offset, Record)>, sink: &Sink) -> Result<(), Over> {
    let first = records.len().saturating_sub(SHOWN_AT_ONCE);
    for (at, (offset, record)) in records.into_iter().enumerate() {
        let outputs = replica.apply(offset, &record).await?;
        let has_ended = outputs.has_ended;
        if at >= first {
            sink.send("record", outputs.with(offset, &record)).await?;
        }
        if has_ended {
            return Err(Over::Ended);
        }
    }
    Ok(())
}

async fn show_state(replica: &mut Replica, sink: &Sink) -> Result<(), Over> {
    match replica.state().await? {
        Some(state) => sink.send("state", state).await,
        None => Err(Over::Ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_that_takes_no_event_is_dropped_and_shown_the_reason_after_what_has_waited() {
        let reason = Arc::new(OnceLock::new());
        let (sink, events) = queue(Duration::from_millis(1), reason.clone());
        for at in 0..QUEUE {
            sink.send("record", at.to_string()).await.expect("there is space in the queue");
        }
        let over = sink.send("record", "one too many".into()).await.expect_err("the queue is full");
        assert!(matches!(over, Over::Slow));
        reason.set(over.to_string()).expect("nobody else sets it");
        drop(sink);
        let events: Vec<Event> = events.collect().await;
        let (last, waited) = events.split_last().expect("there is a last one");
        assert!(waited.iter().enumerate().all(|(at, event)| event.data == at.to_string()) && waited.len() == QUEUE);
        assert_eq!(
            (last.name, last.data.as_str()),
            ("dropped", r#"{"reason":"the page has taken no event for 10 s"}"#)
        );
    }

    #[tokio::test]
    async fn a_page_that_has_gone_ends_its_copy() {
        let (sink, events) = queue(SLOW, Arc::default());
        drop(events);
        assert!(matches!(sink.send("record", "1".into()).await, Err(Over::Gone)));
    }
}
