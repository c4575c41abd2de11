//! A room's events, as they are appended.

use bytes::Bytes;
use chorus_core::ids::RoomId;
use chorus_monitor::admin::MAX_FOLLOWERS;
use hyper::StatusCode;

use crate::support::*;

#[tokio::test]
async fn a_follower_of_a_room_receives_events_without_their_content() {
    let world = World::start().await;
    world.append(GAME, saying("before")).await;
    let mut events = world.events(&format!("/v1/rooms/{GAME}/events")).await;
    let other = same_partition(GAME);
    world.append(other, saying("elsewhere")).await;
    let offset = world.append(GAME, saying("a secret")).await;
    let (id, event) = events.next().await.expect("an event");
    assert_eq!((id, &event["offset"]), (offset.to_string(), &offset.into()));
    assert_eq!((&event["command"], &event["bytes"]), (&"message".into(), &10.into()));
    assert!(!event.to_string().contains("secret") && event.get("type").is_none(), "{event}");
}

#[tokio::test]
async fn a_follower_that_requests_the_content_receives_it() {
    let world = World::start().await;
    world.append(GAME, saying("a secret")).await;
    let mut events = world.events(&format!("/v1/rooms/{GAME}/events?follow=false&content=true")).await;
    let (_, event) = events.next().await.expect("an event");
    assert_eq!((&event["type"], &event["data"]), (&"say".into(), &"a secret".into()));
    assert_eq!(events.next().await, None, "a stream that is not followed ends");
}

#[tokio::test]
async fn events_continue_after_a_given_offset() {
    let world = World::start().await;
    let first = world.append(GAME, saying("1")).await;
    let second = world.append(GAME, saying("2")).await;
    let mut events = world.events(&format!("/v1/rooms/{GAME}/events?from={second}&follow=false")).await;
    assert_eq!(events.next().await.map(|(id, _)| id), Some(second.to_string()));
    assert_eq!(events.next().await, None);
    let mut events = world.events(&format!("/v1/rooms/{GAME}/events?from={first}&follow=false")).await;
    assert_eq!(events.next().await.map(|(id, _)| id), Some(first.to_string()));
    let mut nothing = world.events(&format!("/v1/rooms/{GAME}/events?from=999&follow=false")).await;
    assert_eq!(nothing.next().await, None);
    for bad in ["from=x", "from=-1", "follow=perhaps", "content=yes", "since=1"] {
        assert_eq!(world.get(&format!("/v1/rooms/{GAME}/events?{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn the_first_event_is_where_the_stream_begins() {
    let world = World::start().await;
    let last = world.append(GAME, saying("before")).await;
    let events = world.events(&format!("/v1/rooms/{GAME}/events")).await;
    assert_eq!(events.raw().await, format!("event:begin\ndata:{{\"from\":{}}}\n\n", last + 1));
}

#[tokio::test]
async fn the_number_of_followers_is_bounded() {
    let world = World::start().await;
    let path = format!("/v1/rooms/{GAME}/events");
    let mut followers = Vec::new();
    for _ in 0..MAX_FOLLOWERS {
        followers.push(world.events(&path).await);
    }
    let (status, body) = world.get(&path).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    followers.pop();
    until("there is a place again", async || {
        send(world.address(), "GET", &path, Some(TOKEN), Bytes::new()).await.status() == StatusCode::OK
    })
    .await;
}

/// Another room of the same partition.
fn same_partition(room: RoomId) -> RoomId {
    let mut others = (1000..).map(RoomId);
    others.find(|other| other.partition(4) == room.partition(4)).expect("a quarter of all")
}
