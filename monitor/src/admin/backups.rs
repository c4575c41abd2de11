//! `POST /v1/backup`: a copy of the data directory, made by the process that uses it, while it is used.
//!
//! The answer is a stream of server-sent events: `progress`, then `done` or `failed`. A request that is dropped ends its backup.

use std::{convert::Infallible, path::PathBuf, time::Duration};

use futures_util::stream;
use warp::{
    Reply as _,
    http::{HeaderValue, StatusCode, header},
    sse::Event,
};

use super::{
    Api,
    answer::{Answer, ApiError},
};
use crate::api::{BackupEvent, BackupOrder};

/// So that the requester sees that the connection is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn backup(api: &Api, BackupOrder { dir }: BackupOrder) -> Answer {
    let Some(backup) = &api.hooks.backup else {
        let what_to_do = "back up PostgreSQL and the broker with their own tools; see docs/operating.md";
        return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "a cluster's data is not in one directory", what_to_do));
    };
    let dir = PathBuf::from(dir);
    if !dir.is_absolute() {
        return Err(ApiError::bad(
            "dir is no absolute path",
            "name a directory on the server's machine from its root on",
        ));
    }
    let events = stream::unfold(backup(dir), async |mut events| {
        let event = events.recv().await?;
        Some((Ok::<_, Infallible>(text(&event)), events))
    });
    let events = warp::sse::keep_alive().interval(KEEP_ALIVE).stream(events);
    let mut response = warp::sse::reply(events).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn text(event: &BackupEvent) -> Event {
    let (name, data) = match event {
        BackupEvent::Progress(progress) => ("progress", serde_json::to_string(progress)),
        BackupEvent::Done(done) => ("done", serde_json::to_string(done)),
        BackupEvent::Failed(refusal) => ("failed", serde_json::to_string(refusal)),
    };
    Event::default().event(name).data(data.expect("all of them are always JSON"))
}
