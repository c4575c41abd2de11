//! Stories of kicks.

use super::*;

#[test]
fn a_kicked_session_is_ended_in_its_rooms_and_in_this_one_last() {
    let mut story = Story::with_member();
    assert_eq!(story.message("kick"), ["send frames", "end session"]);
    let rooms = vec![RoomId(1), ROOM, RoomId(2)];
    let out = story.on(Input::SessionEnded { session: ANA, rooms });
    assert_eq!(out, ["append leave", "append leave", "append leave"]);
}

#[test]
fn the_end_of_a_room_is_stored_after_its_kicks() {
    let mut story = Story::with_member();
    story.message("kick");
    let out = story.record(RoomCommand::Close { reason: "over".into() });
    assert_eq!(out, ["send frames", "ended", "drop instance"], "the kick that is pending is not output again");
    let ended = Input::SessionEnded { session: ANA, rooms: Vec::new() };
    assert_eq!(story.on(ended), ["append leave", "flush", "store the end @4"]);
}
