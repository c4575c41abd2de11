//! Stories of messages, of members and of other rooms.

use super::*;

#[test]
fn a_message_sent_twice_is_applied_once() {
    let mut story = Story::of(greeter()).with_members(&[ANA]);
    assert_eq!(story.record(message(ANA, 7)).to_edge(), ["ana 3 reply"]);
    assert_eq!(story.record(message(ANA, 7)).to_edge(), [""; 0]);
    assert_eq!(story.record(message(ANA, 6)).to_edge(), [""; 0]);
    assert_eq!(story.record(message(ANA, 8)).to_edge(), ["ana 4 reply"]);
}

#[test]
fn ids_used_before_a_join_are_never_for_this_room() {
    let mut story = Story::of(greeter());
    story.record(create());
    story.record(join(ANA, 5));
    assert_eq!(story.record(message(ANA, 5)).to_edge(), [""; 0]);
    assert_eq!(story.record(message(ANA, 6)).to_edge(), ["ana 3 reply"]);
}

#[test]
fn a_message_without_a_handler_never_reaches_the_guest() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => panic!("it must not be called"),
        event => greeter()(event),
    });
    let mut story = {
        story.record(create());
        story.record(join(ANA, 0));
        story
    };
    let unknown = RoomCommand::Message { session: ANA, message_id: 1, msg_type: "dance".into(), data: Json::null() };
    let out = story.record(unknown);
    assert_eq!(out.to_edge(), ["ana 3 error"]);
    assert!(out.frame_text(0).contains("unknown_type"));
}

#[test]
fn an_authors_message_has_an_effect_no_answer_and_takes_no_number() {
    let mut story = Story::of(greeter()).with_members(&[ANA]);
    assert_eq!(story.record(message(ANA, 7)).to_edge(), ["ana 3 reply"]);
    for _ in 0..2 {
        assert_eq!(story.record(message(ANA, AUTHORS_MESSAGE)).to_edge(), [""; 0]);
    }
    assert_eq!(story.events.iter().filter(|event| event.starts_with("message")).count(), 3);
    assert_eq!(story.record(message(ANA, 8)).to_edge(), ["ana 4 reply"], "the client's own numbers go on");
}

#[test]
fn an_authors_message_that_has_no_handler_is_a_line_of_the_log() {
    let mut story = Story::of(greeter()).with_members(&[ANA]);
    let (session, message_id) = (ANA, AUTHORS_MESSAGE);
    let out = story.record(RoomCommand::Message { session, message_id, msg_type: "dance".into(), data: Json::null() });
    assert_eq!(out.to_edge(), [""; 0]);
    assert!(out.outputs.iter().any(|output| matches!(output, Output::Log { text, .. } if text.contains("dance"))));
}

#[test]
fn another_rooms_output_counts_once() {
    let mut story = Story::of(greeter());
    story.record(create());
    let number = OutputId { offset: 9, index: 1 };
    let from_room = RoomCommand::RoomMessage { from: RoomId(5), number, data: RoomData::Message(Json::null()) };
    story.record(from_room.clone());
    story.record(from_room);
    assert_eq!(story.events, ["create", "room-message"]);
}

#[test]
fn a_refused_move_is_reported_to_the_guest_and_the_player_stays() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => Ok(vec![Effect::MoveTo { session: ANA, room: RoomId(5), options: Json::null() }]),
        event => greeter()(event),
    })
    .with_members(&[ANA]);
    let out = story.record(message(ANA, 1));
    assert_eq!(out.to_edge()[0], "move ana");
    let Some(Output::Edge(_, EdgeCommand::Move { from, .. })) = out.outputs.first() else { panic!("{out:?}") };
    let again = story.record(reconnect(ANA, "edge-2", None));
    assert!(again.to_edge().contains(&"move ana".to_owned()), "a request that has no answer is repeated");
    let answer = Answer::MoveRefused { session: ANA, room: RoomId(5), reason: "full".into() };
    story.record(RoomCommand::Answer { request: from.number, answer: answer.clone() });
    story.record(RoomCommand::Answer { request: from.number, answer });
    assert_eq!(story.events.iter().filter(|event| *event == "move-failed ana").count(), 1);
}
