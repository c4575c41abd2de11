//! Stories of swaps.

use super::*;

#[test]
fn a_swap_carries_the_state_over_and_a_refused_one_changes_nothing() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    story.refuses_swaps = true;
    let before = story.room.state().cloned();
    let out = story.record(swap(9));
    assert!(matches!(&out.outputs[..], [Output::Notice(Notice::SwapRefused { .. })]), "{out:?}");
    assert_eq!(story.room.state().unwrap().component, before.unwrap().component);
    story.refuses_swaps = false;
    story.record(swap(9));
    assert_eq!(story.room.state().unwrap().component, Digest([9; 32]));
    story.record(message(ANA, 2));
    assert_eq!(story.guest_state(), "2");
}

#[test]
fn a_trap_soon_after_a_swap_undoes_the_swap_and_keeps_the_records_since() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    story.record(swap(9));
    story.record(message(ANA, 2));
    let at = story.next;
    story.record(message_with(ANA, 3, "trap"));
    let out = story.record(fault_at(at));
    let state = story.room.state().unwrap();
    assert_eq!(state.component, Digest([1; 32]), "the old component again");
    assert_eq!(story.guest_state(), "2", "both messages, not the one that trapped");
    assert_eq!(out.tags(), [FrameTag::Error, FrameTag::Room], "no frame is sent twice");
    let undone = out.outputs.iter().any(|o| matches!(o, Output::Notice(Notice::SwapUndone { .. })));
    assert!(undone, "{out:?}");
    story.record(message(ANA, 4));
    assert_eq!(story.guest_state(), "3");
}
