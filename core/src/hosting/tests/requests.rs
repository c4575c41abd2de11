//! Stories of requests.

use super::*;

fn result(offset: Offset) -> Input {
    let number = OutputId { offset, index: 1 };
    Input::Performed { number, result: Ok(Json::trusted(r#"{"rooms":[]}"#)) }
}

#[test]
fn the_result_of_a_request_is_appended_to_the_room() {
    let mut story = Story::with_member();
    assert_eq!(story.message("find"), ["send frames", "perform find"]);
    assert_eq!(story.on(result(3)), ["append answer"]);
    assert_eq!(story.on(result(3)), [""; 0], "it is performed once");
}

#[test]
fn a_room_does_not_hibernate_while_a_request_is_performed() {
    let mut story = Story::with_member();
    story.message("find");
    assert_eq!(story.hosted.summary().next_timer, Some(NOON), "the host that restores the room performs it again");
    story.after(9_000);
    let saved = story.on(Input::Tick);
    assert!(!saved.iter().any(|name| name.starts_with("hibernate")), "{saved:?}");
    assert_eq!(story.hosted.room().state().expect("it lives").requests.len(), 1);
}

#[test]
fn a_request_that_is_pending_is_performed_by_the_next_machine() {
    let mut story = Story::with_member();
    story.message("find");
    let log = story.log.clone();
    let mut next = Story::new(Found::Nothing);
    let mut out = Vec::new();
    for (offset, record) in log {
        out.extend(next.on(Input::Record(offset, record)));
    }
    assert!(out.contains(&"perform find".to_owned()), "{out:?}");
}
