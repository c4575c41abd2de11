//! The stream of builds and swaps that the page shows: `GET /dev/events`.

use std::convert::Infallible;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::broadcast;
use warp::{Filter as _, Reply as _, filters::BoxedFilter, reply::Response, sse};

use super::status::{Board, Status};

pub fn routes(board: Board) -> BoxedFilter<(Response,)> {
    let stream = move || sse::reply(sse::keep_alive().stream(events(&board))).into_response();
    warp::path!("dev" / "events").and(warp::get()).map(stream).boxed()
}

fn events(board: &Board) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send + 'static {
    let (wrong, changes) = board.follow();
    let later = stream::unfold(changes, |mut changes| async move {
        loop {
            match changes.recv().await {
                Ok(status) => return Some((status, changes)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    stream::iter(wrong).chain(later).map(|status| Ok(event(&status)))
}

fn event(status: &Status) -> sse::Event {
    let data = serde_json::to_string(status).expect("a status is always JSON");
    sse::Event::default().event("status").data(data)
}
