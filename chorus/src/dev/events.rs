//! The author's page and its stream of builds, swaps and log lines: `GET /dev`, `GET /dev/events`.
//!
//! The events are the author's: file names, and the texts that rooms log and throw. So they are served only to this machine,
//! and not to the clients of a proxy on this machine.
//!
//! Bound: a page that takes no events misses those before the latest [`BEHIND`](super::status::BEHIND); it is shown how many, and the present state of all
//! kinds.

use std::{convert::Infallible, time::Duration};

use chorus_edge::Peer;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::broadcast;
use warp::{Filter as _, Reply as _, filters::BoxedFilter, http::HeaderMap, reply::Response, sse};

use super::{
    access,
    status::{Board, BoardEvent},
};
use crate::page;

/// A page whose stream has ended connects again after this time. The browsers' own defaults are 3 and 5 seconds, and the server of a page whose
/// button has killed it is back sooner.
const RECONNECT: Duration = Duration::from_millis(500);

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

/// The first event of each stream of the author's pages.
pub fn beginning() -> sse::Event {
    sse::Event::default().retry(RECONNECT)
}

fn events(board: &Board) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send + 'static {
    let events = follow(board).map(|next| event(&next));
    stream::iter([beginning()]).chain(events).map(Ok)
}

/// What a page is shown.
#[derive(Debug)]
enum Shown {
    Event(BoardEvent),
    /// So many events are not shown.
    Missed(u64),
}

fn follow(board: &Board) -> impl Stream<Item = Shown> + Send + 'static {
    let (now, changes) = board.follow();
    let later = stream::unfold((changes, board.clone()), |(mut changes, board)| async move {
        let next = match changes.recv().await {
            Ok(next) => vec![Shown::Event(next)],
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                let now = board.now().into_iter().map(Shown::Event);
                [Shown::Missed(missed)].into_iter().chain(now).collect()
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((next, (changes, board)))
    });
    stream::iter(now).map(Shown::Event).chain(later.flat_map(stream::iter))
}

fn event(shown: &Shown) -> sse::Event {
    let (name, data) = match shown {
        Shown::Event(BoardEvent::Status(status)) => ("status", serde_json::to_string(status)),
        Shown::Event(BoardEvent::Log(line)) => ("log", serde_json::to_string(line)),
        Shown::Missed(events) => ("missed", serde_json::to_string(&serde_json::json!({ "events": events }))),
    };
    sse::Event::default().event(name).data(data.expect("all are always JSON"))
}

#[cfg(test)]
mod tests {
    use super::{
        super::status::{BEHIND, State},
        *,
    };

    #[tokio::test]
    async fn a_page_that_takes_no_events_misses_the_oldest_and_is_shown_how_many_and_the_present_states() {
        let board = Board::default();
        board.set("chess", State::Building);
        let mut shown = Box::pin(follow(&board));
        let build = |bytes| board.set("chess", State::Built { bytes, ms: 1 });
        let total = BEHIND as u64 + 10;
        (1..=total).for_each(build);

        let state = |shown: Option<Shown>| match shown {
            Some(Shown::Event(BoardEvent::Status(status))) => status.state,
            other => panic!("no state but {other:?}"),
        };
        let built = |bytes| State::Built { bytes, ms: 1 };
        assert_eq!(state(shown.next().await), State::Building, "the one at the beginning");
        assert!(matches!(shown.next().await, Some(Shown::Missed(10))));
        assert_eq!(state(shown.next().await), built(total), "the present one");
        for bytes in 11..=total {
            assert_eq!(state(shown.next().await), built(bytes));
        }
        build(total + 1);
        assert_eq!(state(shown.next().await), built(total + 1), "the stream goes on");
    }
}
