//! The players' history, as the torture writes it.

use serde_json::json;

use super::{
    super::history::{Event, History},
    logs::{ANA, BEN, ROOM},
};

#[test]
fn a_history_is_sorted_by_room_and_session() {
    let room = ROOM.to_string();
    let text = json!({"players": [{"name": "Ana", "frames": [
        {"out": true, "frame": {"t": "hello"}},
        {"frame": {"t": "welcome", "session": ANA.to_string()}},
        {"frame": {"t": "room", "room": room, "seq": 1, "ack": 0, "view": null}},
        {"out": true, "frame": {"t": "msg", "id": 1, "type": "say", "data": 5}},
        {"frame": {"t": "error", "id": 1, "code": "unavailable"}},
        {"frame": {"t": "welcome", "session": BEN.to_string()}},
        {"frame": {"t": "reply", "id": 1}},
    ], "sends": [], "games": []}]});
    let history = History::parse(&text.to_string()).unwrap();
    assert_eq!(history.sessions, 2);
    let stay = &history.rooms[&ROOM][&ANA];
    assert_eq!(stay.player, "Ana");
    assert!(matches!(
        &stay.events[..],
        [Event::Frame { seq: 1, .. }, Event::Sent { id: 1, .. }, Event::Edge { id: 1, .. }]
    ));
    assert!(!history.rooms[&ROOM].contains_key(&BEN), "the new session has sent nothing");
    assert!(History::parse("{}").is_err());
}
