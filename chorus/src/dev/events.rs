//! The author's page and its stream of builds, swaps and log lines: `GET /dev`, `GET /dev/events`.
//!
//! The events are the author's: file names, and the texts that rooms log and throw. So they are served only to this machine,
//! and not to the clients of a proxy on this machine.

use std::convert::Infallible;

use chorus_edge::Peer;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::broadcast;
use warp::{Filter as _, Reply as _, filters::BoxedFilter, http::HeaderMap, reply::Response, sse};

use super::{
    access,
    status::{Board, BoardEvent},
};
use crate::page;

pub fn routes(board: Board) -> BoxedFilter<(Response,)> {
    let stream = move || sse::reply(sse::keep_alive().stream(events(&board))).into_response();
    let events = warp::path!("dev" / "events").and(warp::get()).map(stream);
    author_only().and(events.or(page::authors()).unify()).boxed()
}

/// Passes requests of this machine.
pub fn author_only() -> BoxedFilter<()> {
    let author = warp::ext::optional::<Peer>().and(warp::header::headers_cloned()).and_then(
        async |peer: Option<Peer>, headers: HeaderMap| {
            if access::is_author(peer, &headers) { Ok(()) } else { Err(warp::reject::not_found()) }
        },
    );
    author.untuple_one().boxed()
}

fn events(board: &Board) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send + 'static {
    let (now, changes) = board.follow();
    let later = stream::unfold(changes, |mut changes| async move {
        loop {
            match changes.recv().await {
                Ok(next) => return Some((next, changes)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    stream::iter(now).chain(later).map(|next| Ok(event(&next)))
}

fn event(event: &BoardEvent) -> sse::Event {
    let (name, data) = match event {
        BoardEvent::Status(status) => ("status", serde_json::to_string(status)),
        BoardEvent::Log(line) => ("log", serde_json::to_string(line)),
    };
    sse::Event::default().event(name).data(data.expect("both are always JSON"))
}
