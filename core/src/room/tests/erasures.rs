//! Stories of players that are erased.

use super::*;

/// A script that names its members in all that it sends, and in its view as long as they are not erased.
fn names() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    let say = |text: &str| Effect::Broadcast { msg_type: "said".into(), data: Json::of(&text), except: vec![] };
    move |event| match event {
        Event::Join { member, .. } => {
            Ok(vec![Effect::Admit { spectator: false }, say(&format!("{} is here", member.player.id))])
        }
        Event::Message { data, .. } if data.contains("trap") => Err(trapped()),
        Event::Message { session, .. } => Ok(vec![say(&format!("{} speaks", who(*session)))]),
        Event::Leave { session, .. } => Ok(vec![say(&format!("{} leaves", who(*session)))]),
        Event::Erase { player } if &**player == "nobody" => Err(Fault::Threw("on purpose".into())),
        Event::Erase { .. } => Ok(vec![say("somebody was erased")]),
        _ => Ok(vec![]),
    }
}

fn erase(player: &str) -> RoomCommand {
    RoomCommand::Erase { player: player.into() }
}

fn mentions(bytes: &[u8], name: &str) -> bool {
    bytes.windows(name.len()).any(|window| window == name.as_bytes())
}

#[test]
fn the_player_leaves_by_each_session_and_then_the_script_erases_it() {
    let mut story = Story::of(names()).with_members(&[BEA, ANA, CAI]);
    let out = story.record(erase("bea"));
    assert_eq!(story.events[story.events.len() - 3..], ["leave bea Kicked", "leave bea Kicked", "erase bea"]);
    assert_eq!(story.room.state().unwrap().members.keys().collect::<Vec<_>>(), [&ANA]);
    let kicks = out.outputs.iter().filter(|output| {
        matches!(output, Output::Edge(_, EdgeCommand::Kick { reason, .. }) if &**reason == "this player was erased")
    });
    assert_eq!(kicks.count(), 2, "the sessions end at their edges");
}

/// The snapshot that is stored at once has nothing of the player, though frames of others named it.
#[test]
fn a_snapshot_follows_at_once_and_has_nothing_of_the_player() {
    let mut story = Story::of(names()).with_members(&[ANA, BEA]);
    story.record(message(ANA, 1));
    story.record(drop_of(BEA, EDGE));
    assert!(mentions(&story.room.state().unwrap().encode(), "ana"));
    let out = story.record(erase("ana"));
    let saved = out.outputs.iter().find_map(|output| match output {
        Output::Snapshot { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    assert!(!mentions(&saved.expect("it is saved at once"), "ana"));
    assert!(story.room.is_saved(), "the log is not needed any more");
    let out = story.record(reconnect(BEA, EDGE, Some(2)));
    assert_eq!(out.tags(), [FrameTag::Room], "the frames that it missed are dropped: it gets the whole view");
}

#[test]
fn a_room_without_the_player_calls_its_script_all_the_same() {
    let mut story = Story::of(names()).with_members(&[BEA]);
    story.record(erase("ana"));
    assert_eq!(story.events.last().unwrap(), "erase ana");
    assert!(story.room.state().unwrap().members.contains_key(&BEA));
    story.record(erase("ana"));
    assert_eq!(story.events.last().unwrap(), "erase ana", "a second one is no different");
}

#[test]
fn a_script_that_throws_keeps_no_member_in_the_room() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Leave { .. } | Event::Erase { .. } => Err(Fault::Threw("on purpose".into())),
        event => names()(event),
    })
    .with_members(&[BEA, ANA, CAI]);
    let out = story.record(erase("bea"));
    assert_eq!(story.room.state().unwrap().members.keys().collect::<Vec<_>>(), [&ANA]);
    assert!(out.outputs.iter().any(|output| matches!(output, Output::Notice(Notice::Threw { .. }))), "{out:?}");
    assert!(!mentions(&story.saved_now(&out), "bea"));
}

/// The state before a swap, and the records since, have the player.
#[test]
fn a_swap_cannot_be_undone_after_an_erasure() {
    let mut story = Story::of(names()).with_members(&[ANA, BEA]);
    story.record(swap(2));
    story.record(message(ANA, 1));
    assert!(story.room.state().unwrap().probation.is_some());
    story.record(erase("ana"));
    assert!(story.room.state().unwrap().probation.is_none());
    let at = story.next;
    story.record(message_with(BEA, 1, "trap"));
    story.record(fault_at(at));
    assert_eq!(story.room.state().unwrap().component, Digest([2; 32]));
    assert_eq!(story.room.state().unwrap().members.keys().collect::<Vec<_>>(), [&BEA]);
}

#[test]
fn an_erasure_is_replayed_as_it_was() {
    let mut story = Story::of(names()).with_members(&[ANA, BEA]);
    story.record(message(ANA, 1));
    story.record(erase("ana"));
    story.record(erase("nobody"));
    story.record(message(BEA, 1));
    let mut again = Story::of(names());
    again.replay(&story.log);
    let (mut expected, mut found) = (story.room.state().unwrap().clone(), again.room.state().unwrap().clone());
    (expected.saved, found.saved) = (None, None);
    assert_eq!(found, expected);
}

#[test]
fn a_room_that_never_was_or_has_ended_has_nobody_to_erase() {
    let mut story = Story::of(names());
    assert_eq!(story.record(erase("ana")).outputs, []);
    assert!(story.room.state().is_none());
}

impl Story {
    /// The latest snapshot: among these outputs, or on request.
    fn saved_now(&mut self, out: &Out) -> Vec<u8> {
        let saved = out.outputs.iter().rev().find_map(|output| match output {
            Output::Snapshot { bytes, .. } => Some(bytes.to_vec()),
            _ => None,
        });
        saved.unwrap_or_else(|| self.saved())
    }
}
