//! Stories of the limit on the rooms that a room may create.

use super::*;
use crate::room::{LOBBY_CREATE_BURST, LOBBY_CREATES_PER_MS, MAX_ALLOWANCE, MAX_ROOMS_PER_SESSION};

/// The kinds of these stories may have 4 rooms.
#[test]
fn a_room_creates_as_many_as_its_kind_may_have_and_has_them_back_when_they_end() {
    let mut story = Story::of(creator(0)).with_members(&[ANA]);
    let created: Vec<RoomId> = (1..=4).flat_map(|id| story.record(message(ANA, id)).created()).collect();
    assert_eq!(created.len(), 4);
    let out = story.record(message(ANA, 5));
    assert_eq!(out.created(), []);
    let answer = out.to_itself().expect("an answer");
    assert!(
        matches!(&answer, RoomCommand::Answer { answer: Answer::CreateFailed { reason, .. }, .. } if reason.contains("0 more"))
    );
    assert_eq!(story.room.state().unwrap().faults, 0, "it is no fault");
    story.record(answer);
    assert_eq!(story.events.last().map(String::as_str), Some("room-end"));
    assert_eq!(story.record(message(ANA, 6)).created(), [], "what was refused gives nothing back");
    story.record(message(ANA, 7));

    story.record(ended(created[0], 1));
    assert_eq!(story.record(message(ANA, 8)).created().len(), 1);
    let mut heir = Story::of(creator(0));
    heir.replay(&story.log);
    assert_eq!(heir.room.state(), story.room.state());
}

#[test]
fn an_allowance_that_is_handed_down_is_taken_and_returned() {
    let mut story = Story::of(creator(2)).with_members(&[ANA]);
    let out = story.record(message(ANA, 1));
    let [Output::Create { id, allowance: 2, .. }] = out.creates()[..] else { panic!("{out:?}") };
    assert_eq!(story.record(message(ANA, 2)).created(), [], "one and two more are not left");
    story.record(ended(*id, 1));
    assert_eq!(story.record(message(ANA, 3)).created().len(), 1);
}

/// The allowance may be less than what the kind may have.
#[test]
fn a_room_without_an_allowance_creates_no_room() {
    let mut story = Story::of(creator(0));
    let RoomCommand::Create { kind, component, options, creator, secret, .. } = create() else { unreachable!() };
    story.record(RoomCommand::Create { kind, component, options, creator, secret, allowance: 0 });
    story.record(join(ANA, 0));
    assert_eq!(story.record(message(ANA, 1)).created(), []);
}

#[test]
fn a_member_that_is_moved_to_a_refused_room_stays_and_the_guest_gets_the_reason() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => {
            let room = Seed::of(ROOM, RoomSecret(7), 106).room(0);
            Ok(vec![create_effect(9), Effect::MoveTo { session: ANA, room, options: Json::null() }])
        }
        event => greeter()(event),
    })
    .with_members(&[ANA]);
    assert_eq!(story.next, 106);
    let out = story.record(message(ANA, 1));
    assert!(!out.to_edge().contains(&"move ana".to_owned()), "{out:?}");
    for output in out.outputs {
        if let Output::Append(_, command) = output {
            story.record(command);
        }
    }
    assert_eq!(story.events[story.events.len() - 2..], ["room-end", "move-failed ana"]);
    assert!(story.room.state().unwrap().members[&ANA].moving.is_none());
}

#[test]
fn the_lobby_has_a_rate() {
    let mut story = Story::of_the_lobby(|event: &Event| match event {
        Event::RoomMessage { .. } => Ok((0..16).map(|_| create_effect(0)).collect()),
        event => greeter()(event),
    });
    story.record(create());
    let mut number = 0;
    let mut request = |story: &mut Story| {
        number += 1;
        let number = OutputId { offset: number, index: 0 };
        let data = RoomData::Message(Json::null());
        story.record(RoomCommand::RoomMessage { from: RoomId(5), number, data })
    };
    let mut created = 0;
    let out = loop {
        let out = request(&mut story);
        created += out.created().len() as u64;
        if out.to_itself().is_some() {
            break out;
        }
    };
    assert_eq!(created, LOBBY_CREATE_BURST);
    assert!(matches!(out.to_itself(), Some(RoomCommand::Answer { answer: Answer::CreateFailed { .. }, .. })));
    story.now = story.now.plus(3);
    let out = request(&mut story);
    assert_eq!(out.created().len() as u64, 3 * LOBBY_CREATES_PER_MS, "so many in a millisecond");
    assert!(matches!(out.creates()[0], Output::Create { allowance: MAX_ALLOWANCE, .. }));
}

#[test]
fn one_session_makes_the_lobby_create_only_so_many() {
    let mut story = Story::of_the_lobby(creator(0)).with_members(&[ANA, BEA]);
    let mut created = vec![];
    for id in 1..=2 * MAX_ROOMS_PER_SESSION as u64 {
        created.extend(story.record(message(ANA, id)).created());
        story.now = story.now.plus(1_000);
    }
    assert_eq!(created.len(), MAX_ROOMS_PER_SESSION);
    assert_eq!(story.record(message(BEA, 1)).created().len(), 1, "another one's are others");
    story.record(leave(ANA));
    story.record(join(ANA, 100));
    assert_eq!(story.record(message(ANA, 101)).created(), [], "it is the session that counts, not the seat");
    story.record(ended(created[0], 1));
    assert_eq!(story.record(message(ANA, 102)).created().len(), 1);
}

impl Out {
    fn creates(&self) -> Vec<&Output> {
        self.outputs.iter().filter(|output| matches!(output, Output::Create { .. })).collect()
    }

    fn created(&self) -> Vec<RoomId> {
        let ids = self.outputs.iter().filter_map(|output| match output {
            Output::Create { id, .. } => Some(*id),
            _ => None,
        });
        ids.collect()
    }

    pub(super) fn to_itself(&self) -> Option<RoomCommand> {
        self.outputs.iter().find_map(|output| match output {
            Output::Append(_, command) => Some(command.clone()),
            _ => None,
        })
    }
}

fn creator(allowance: u32) -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    move |event| match event {
        Event::Message { .. } => Ok(vec![create_effect(allowance)]),
        event => greeter()(event),
    }
}

fn create_effect(allowance: u32) -> Effect {
    Effect::CreateRoom { kind: Kind::lobby(), options: Json::null(), allowance }
}

fn ended(room: RoomId, offset: Offset) -> RoomCommand {
    let data = RoomData::Ended { outcome: Json::null(), failed: None };
    RoomCommand::RoomMessage { from: room, number: OutputId { offset, index: 0 }, data }
}
