//! Frames and messages: what a player received is what the room sent.

use chorus_core::{
    command::{LeaveReason, RoomCommand},
    frame::FrameTag,
};
use chorus_testing::cast;
use serde_json::{Value, json};

use super::{
    super::{
        history::{Event, ExactJson, RoomHistory},
        history_check::check_history,
        report::{Figures, Rule},
    },
    logs::{ANA, BEN, ROOM, a_chat, message, play},
    players::{applied, found, frame, honest, last, seen, sent, set},
};

#[tokio::test]
async fn a_true_history_has_no_violation() {
    let log = a_chat();
    let played = play(&log).await;
    assert_eq!(found(&played, &honest(&played)), []);
    let mut figures = Figures::default();
    check_history(ROOM, &played, &honest(&played), &mut figures, &mut Vec::new());
    assert_eq!((figures.messages, figures.acknowledged), (3, 3));
    assert!(figures.frames > 10, "{figures:?}");
}

/// The changes to Ana's part of a valid history, and the violations that must be found.
#[tokio::test]
async fn every_rule_about_frames_and_messages_is_broken_once() {
    type Plant = fn(&mut Vec<Event>);
    let planted: [(Rule, Plant); 12] = [
        (Rule::FrameTwice, |ana| ana.insert(4, ana[3].clone())),
        (Rule::FrameMissing, |ana| drop(ana.remove(3))),
        (Rule::FrameDiffers, |ana| set(&mut ana[3], "data", json!("another"))),
        // The same, with its keys in another order.
        (Rule::FrameDiffers, |ana| {
            let Event::Frame { frame, .. } = &mut ana[3] else { panic!("no frame: {:?}", ana[3]) };
            *frame = seen(Value::clone(frame));
        }),
        (Rule::FrameUnknown, |ana| ana.push(frame(json!({"t": "event", "seq": last(ana) + 1})))),
        (Rule::FrameUnknown, |ana| ana.push(frame(json!({"t": "left", "seq": last(ana) + 1, "reason": "left"})))),
        (Rule::NotByTheRoom, |ana| ana.push(Event::Edge { id: 1, frame: seen(json!({"t": "reply", "id": 1})) })),
        (Rule::NotInChannel, |ana| ana.extend([sent(9, "say"), applied(9)])),
        (Rule::NotAsSent, |ana| ana.insert(0, sent(1, "shout"))),
        (Rule::NeverSent, |ana| ana.retain(|event| !matches!(event, Event::Sent { id: 1, .. }))),
        (Rule::AnsweredTwice, |ana| ana.push(frame(json!({"t": "reply", "seq": last(ana) + 1, "id": 1})))),
        (Rule::NoEffect, |ana| {
            ana.retain(|event| !matches!(event, Event::Frame { frame, .. } if frame["id"] == 2));
            ana.push(Event::Edge { id: 2, frame: seen(json!({"t": "error", "id": 2, "code": "unavailable"})) });
        }),
    ];
    let played = play(&a_chat()).await;
    for (rule, plant) in planted {
        let mut history = honest(&played);
        plant(&mut history.get_mut(&ANA).unwrap().events);
        let rules = found(&played, &history);
        assert!(rules.contains(&rule), "{}: found only {rules:?}", rule.text());
    }
}

#[tokio::test]
async fn a_message_that_is_in_the_channel_twice_is_applied_once() {
    let mut log = a_chat();
    log.push(message(ANA, 1));
    let played = play(&log).await;
    let first = &played.messages[&(ANA, 1)];
    assert_eq!((first.offsets.len(), first.applied_at.len()), (2, 1));
    assert_eq!(found(&played, &honest(&played)), []);
}

#[tokio::test]
async fn a_room_that_erases_a_player_is_replayed_as_it_was() {
    let mut log = a_chat();
    log.extend([RoomCommand::Erase { player: cast::player(ANA).id }, message(BEN, 2)]);
    let played = play(&log).await;
    assert_eq!(found(&played, &honest(&played)), []);
    let last_of = |session| played.sessions[&session].frames.last_key_value().map(|(_, frames)| frames[0].frame.tag());
    assert_eq!((last_of(ANA), last_of(BEN)), (Some(FrameTag::Left), Some(FrameTag::Reply)));
}

#[tokio::test]
async fn a_message_that_was_applied_twice_is_found() {
    let mut played = play(&a_chat()).await;
    played.messages.get_mut(&(BEN, 1)).unwrap().applied_at.push(99);
    assert_eq!(found(&played, &RoomHistory::new()), [Rule::AppliedTwice]);
}

#[tokio::test]
async fn an_acknowledged_message_that_its_room_dropped_is_found() {
    let mut log = a_chat();
    log.push(RoomCommand::Leave { session: ANA, reason: LeaveReason::Left });
    log.push(message(ANA, 3));
    let played = play(&log).await;
    let mut history = honest(&played);
    let ana = &mut history.get_mut(&ANA).unwrap().events;
    ana.push(sent(3, "say"));
    assert_eq!(found(&played, &history), []);
    history.get_mut(&ANA).unwrap().events.push(applied(3));
    assert_eq!(found(&played, &history), [Rule::NotApplied]);
}

#[tokio::test]
async fn an_edge_may_send_left_for_a_room_that_has_removed_the_session() {
    let mut log = a_chat();
    log.push(RoomCommand::Leave { session: ANA, reason: LeaveReason::Left });
    let played = play(&log).await;
    let mut history = honest(&played);
    let ana = &mut history.get_mut(&ANA).unwrap().events;
    let Some(Event::Frame { seq, frame }) = ana.last_mut() else { panic!("it has frames") };
    assert_eq!(frame["t"], "left");
    // The room itself sent "left"; Ana was disconnected, and her next edge sent it with other fields and under a lower number.
    *seq -= 1;
    let left = format!(r#"{{"t":"left","room":"{ROOM}","seq":{seq},"reason":"moved"}}"#);
    *frame = ExactJson::parse(&left).unwrap();
    ana.remove(ana.len() - 2);
    assert_eq!(found(&played, &history), []);
}
