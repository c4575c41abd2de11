//! Stories of views and their patches.

use super::*;

#[test]
fn each_member_gets_the_patch_of_its_own_view() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Join { member, .. } => Ok(vec![
            Effect::Admit { spectator: false },
            Effect::ViewOf { session: member.session, view: Json::trusted(r#"{"you":1,"board":[null,null]}"#) },
        ]),
        Event::Message { session, .. } => {
            Ok(vec![Effect::ViewOf { session: *session, view: Json::trusted(r#"{"you":1,"board":[null,0]}"#) }])
        }
        _ => Ok(vec![]),
    })
    .with_members(&[ANA]);
    let out = story.record(message(ANA, 1));
    assert!(out.frame_text(0).ends_with(r#""ops":[{"op":"replace","path":"/board/1","value":0}]}"#), "{out:?}");
}

#[test]
fn views_that_are_the_same_are_compared_once() {
    let views = |turn: u8| {
        let view = |you: &str| {
            Json::trusted(format!(r#"{{"turn":{turn},"you":"{you}","motto":"as long as a view mostly is"}}"#))
        };
        [(ANA, "seat 1"), (BEA, "watching"), (CAI, "watching")]
            .map(|(session, you)| Effect::ViewOf { session, view: view(you) })
    };
    let mut story = Story::of(move |event: &Event| match event {
        Event::Join { .. } => Ok(std::iter::once(Effect::Admit { spectator: false }).chain(views(0)).collect()),
        Event::Message { .. } => Ok(views(1).into()),
        _ => Ok(vec![]),
    })
    .with_members(&[ANA, BEA, CAI]);
    let out = story.record(message(ANA, 1));
    let Some(Output::Edge(_, EdgeCommand::Deliver(deliveries))) = out.outputs.first() else { panic!("{out:?}") };
    let patches = deliveries.iter().filter(|(_, frame)| frame.tag() == FrameTag::Patch);
    let patches: Vec<(SessionId, &RoomFrame)> = patches.map(|(target, frame)| (target.session, frame)).collect();
    let [(ANA, ana), (BEA, bea), (CAI, cai)] = patches[..] else { panic!("{out:?}") };
    assert!(bea.is_shared_with(cai), "what spectators get is made once");
    assert!(!ana.is_shared_with(bea), "and a player's view is another");
}

#[test]
fn a_view_too_long_to_be_compared_is_sent_whole() {
    let view = |last: u8| Json::trusted(format!(r#"["{}",{last}]"#, "x".repeat(diff::MAX_COMPARED / 2)));
    let mut story = Story::of(move |event: &Event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }, Effect::View { view: view(0) }]),
        Event::Message { .. } => Ok(vec![Effect::View { view: view(1) }]),
        _ => Ok(vec![]),
    })
    .with_members(&[ANA]);
    let out = story.record(message(ANA, 1));
    let whole = format!(r#""ops":[{{"op":"replace","path":"","value":{}}}]}}"#, &*view(1));
    assert!(out.frame_text(0).ends_with(&whole));
}
