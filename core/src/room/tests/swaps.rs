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

/// What a clock decides is decided once, by the log.
#[test]
fn a_swap_that_takes_too_much_time_is_refused_by_a_fault_in_the_log_and_in_every_replay() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    story.record(swap(8));
    story.overruns_swaps = true;
    let at = story.next;
    let out = story.record(swap(9));
    let fault = Fault::TooMuch("time".into());
    let number = OutputId { offset: at, index: 0 };
    assert_eq!(out.outputs, [Output::Append(ROOM, RoomCommand::Fault { at: number, fault: fault.clone() })]);
    // It is not tried again.
    story.overruns_swaps = false;
    let out = story.record(RoomCommand::Fault { at: number, fault });
    assert!(out.outputs.iter().any(|o| matches!(o, Output::Notice(Notice::SwapRefused { .. }))), "{out:?}");
    let state = story.room.state().unwrap();
    assert_eq!(state.component, Digest([8; 32]), "the swap before is not undone by it");
    assert_eq!(state.faults, 0);
    story.record(message(ANA, 2));
    assert_eq!(story.guest_state(), "2");
    story.is_the_same_in_a_replay();
    // Nor when the swap before is undone later.
    let trap = story.next;
    story.record(message_with(ANA, 3, "trap"));
    story.record(fault_at(trap));
    assert_eq!(story.room.state().unwrap().component, Digest([1; 32]));
    assert_eq!(story.guest_state(), "2");
}
