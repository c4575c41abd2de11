//! Stories of guests that sign in while they are members.

use super::*;

/// A script that takes each new identity, unless its claims forbid it.
fn takes_identities() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
        Event::Identify { claims: Some(claims), .. } if claims.contains("throw") => Err(trapped()),
        Event::Identify { claims: Some(_), .. } => Ok(vec![Effect::Identify]),
        // An effect that has nothing in hand.
        Event::Message { .. } => Ok(vec![Effect::Identify]),
        _ => Ok(vec![]),
    }
}

#[test]
fn a_member_has_its_new_identity_where_the_script_takes_it() {
    let mut story = Story::of(takes_identities()).with_members(&[ANA, BEA]);
    story.record(identify(ANA, Some("{}")));
    assert_eq!(story.events.last().unwrap(), "identify ana ana");
    assert_eq!((&*id_of(&story, ANA), &*id_of(&story, BEA)), ("u:ana", "bea"));
    story.record(message(BEA, 1));
    assert_eq!(&*id_of(&story, BEA), "bea", "no identity was in hand");
}

#[test]
fn a_member_keeps_its_identity_where_the_script_does_not_take_the_new_one() {
    let mut story = Story::of(takes_identities()).with_members(&[ANA]);
    story.record(identify(ANA, None));
    assert_eq!(&*id_of(&story, ANA), "ana");
    let at = story.next;
    story.record(identify(ANA, Some(r#"{"throw":1}"#)));
    story.record(fault_at(at));
    assert_eq!(&*id_of(&story, ANA), "ana");
    assert_eq!(story.accounts.last().unwrap(), &Some(ANA), "the client has caused the record");
}

#[test]
fn a_session_that_has_left_is_nobody_here() {
    let mut story = Story::of(takes_identities()).with_members(&[ANA, BEA]);
    story.record(leave(ANA));
    let before = story.events.len();
    story.record(identify(ANA, Some("{}")));
    assert_eq!(story.events.len(), before);
}

#[test]
fn the_claims_of_a_join_are_in_its_event_and_in_no_state() {
    let mut seen = Vec::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut story = Story::of(move |event| match event {
        Event::Join { claims, .. } => {
            sender.send(claims.clone()).unwrap();
            Ok(vec![Effect::Admit { spectator: false }])
        }
        _ => Ok(vec![]),
    });
    story.record(create());
    let RoomCommand::Join(joining) = join(ANA, 0) else { panic!("it is a join") };
    story.record(RoomCommand::Join(Joining { claims: Some(Json::trusted(r#"{"role":"admin"}"#)), ..joining }));
    seen.extend(receiver.try_iter());
    assert_eq!(seen, [Some(Json::trusted(r#"{"role":"admin"}"#))]);
    let state = story.room.state().unwrap().encode();
    assert!(!state.windows(5).any(|bytes| bytes == b"admin"), "the member does not keep them");
}

fn identify(session: SessionId, claims: Option<&str>) -> RoomCommand {
    let player = Player { id: format!("u:{}", who(session)).into(), name: "Ana".into() };
    RoomCommand::Identify { session, was: who(session).into(), player, claims: claims.map(Json::trusted) }
}

fn id_of(story: &Story, session: SessionId) -> Arc<str> {
    story.room.state().unwrap().members[&session].player.id.clone()
}
