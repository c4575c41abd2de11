//! Stories of charging: what a client exhausts is charged to its session, everything else to the room.

use super::*;

#[test]
fn a_budget_that_a_client_exhausts_ends_no_room_and_is_answered_with_an_error() {
    let mut story = Story::of(counter()).with_members(&[ANA, BEA]);
    for id in 1..=10 {
        let out = story.exhaust(message_with(ANA, id, "burn"));
        assert!(out.frame_text(0).contains(r#""code":"too_costly""#), "{out:?}");
        assert_eq!(out.charged(), [Some(ANA)]);
        assert_eq!(story.record(message(BEA, id)).tags(), [FrameTag::Reply], "a bystander plays on");
    }
    assert_eq!(story.room.state().unwrap().faults, 0);
    assert_eq!(story.guest_state(), "10");
    story.is_the_same_in_a_replay();
}

/// The room's own failures count as consecutive even with a client's exhaustion between them.
#[test]
fn a_budget_that_a_client_exhausts_neither_adds_to_the_faults_nor_resets_them() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    for id in [1, 3] {
        let at = story.next;
        story.record(message_with(ANA, id, "trap"));
        assert_eq!(
            story.record(fault_at(at)).charged(),
            [None],
            "a trap is charged to the room, also one that a message caused"
        );
        story.exhaust(message_with(ANA, id + 1, "burn"));
    }
    assert_eq!(story.room.state().unwrap().faults, 2);
    let at = story.next;
    story.record(message_with(ANA, 5, "trap"));
    story.record(fault_at(at));
    assert!(story.room.has_ended());
}

#[test]
fn each_sort_of_exhaustion_is_charged_to_the_client_and_each_other_failure_to_the_room() {
    let faults = [
        (Fault::OutOfFuel(1), true),
        (Fault::OutOfMemory(1), true),
        (Fault::TooMuch("effects".into()), true),
        (trapped(), false),
        (Fault::Garbage("no JSON".into()), false),
    ];
    for (fault, is_the_clients) in faults {
        let failure = fault.clone();
        let mut story = Story::of(failing_on("message ana", failure)).with_members(&[ANA]);
        let out = story.exhaust(message(ANA, 1));
        assert_eq!(out.charged(), [is_the_clients.then_some(ANA)], "{fault}");
        assert_eq!(story.room.state().unwrap().faults, u32::from(!is_the_clients), "{fault}");
    }
}

#[test]
fn a_budget_that_a_room_exhausts_by_itself_is_charged_to_the_room() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Timer { .. } => Err(Fault::OutOfFuel(1)),
        Event::Message { .. } => Ok((0..3).map(|n| set_timer(&format!("turn {n}"), n)).collect()),
        event => greeter()(event),
    })
    .with_members(&[ANA]);
    story.record(message(ANA, 1));
    for _ in 0..3 {
        assert!(!story.room.has_ended());
        let (_, id) = story.room.poll_timeout().unwrap();
        assert_eq!(story.exhaust(RoomCommand::Timer { id, name: None }).charged(), [None]);
    }
    assert!(story.room.has_ended());
}

#[test]
fn a_join_that_exhausts_is_refused() {
    let mut story = Story::of(failing_on("join bea", Fault::OutOfFuel(1))).with_members(&[ANA]);
    for _ in 0..5 {
        let out = story.exhaust(join(BEA, 0));
        assert_eq!(out.to_edge()[0], "refused bea: to let you in costs the room more than it may");
        assert_eq!(out.charged(), [Some(BEA)]);
    }
    assert_eq!(story.room.state().unwrap().members.len(), 1);
    assert_eq!(story.record(message(ANA, 1)).tags(), [FrameTag::Reply]);
}

/// The machine's own part of each event does not depend on the script, and the next instance is opened with it.
#[test]
fn a_drop_a_reconnect_and_a_leave_that_exhaust_happen_all_the_same() {
    let events = ["drop bea", "reconnect bea", "leave bea Left"];
    let mut story =
        Story::of(|event: &Event| if events_of_bea(event) { Err(Fault::OutOfFuel(1)) } else { counter()(event) })
            .with_members(&[ANA, BEA]);
    let out = story.exhaust(drop_of(BEA, EDGE));
    assert_eq!(out.charged(), [Some(BEA)]);
    let bea = &story.room.state().unwrap().members[&BEA];
    assert!(!bea.connected && bea.hold.is_some());
    story.record(message(ANA, 1));
    assert_eq!(story.opened.last().map(String::as_str), Some("ana, bea (away)"));

    story.exhaust(reconnect(BEA, "edge-2", None));
    let bea = &story.room.state().unwrap().members[&BEA];
    assert!(bea.connected && bea.hold.is_none());
    story.record(message(ANA, 2));
    assert_eq!(story.opened.last().map(String::as_str), Some("ana, bea"));

    let out = story.exhaust(leave(BEA));
    assert!(out.to_edge().contains(&"leave bea".to_owned()), "{out:?}");
    assert_eq!(story.room.state().unwrap().members.keys().collect::<Vec<_>>(), [&ANA]);
    story.record(message(ANA, 3));
    assert_eq!(story.opened.last().map(String::as_str), Some("ana"));
    assert_eq!(story.room.state().unwrap().faults, 0);
    for event in events {
        assert!(story.events.iter().any(|seen| seen == event), "{event}");
    }
    story.is_the_same_in_a_replay();
}

#[test]
fn a_clients_records_have_a_budget_of_their_own() {
    let mut story = Story::of(|event: &Event| match event {
        Event::Message { .. } => Ok(vec![set_timer("turn", 1)]),
        event => greeter()(event),
    });
    story.record(create());
    for command in [join(ANA, 0), message(ANA, 1), drop_of(ANA, EDGE), reconnect(ANA, EDGE, None)] {
        story.record(command);
    }
    let (_, id) = story.room.poll_timeout().unwrap();
    story.record(RoomCommand::Timer { id, name: None });
    story.record(leave(ANA));
    assert_eq!(
        story.events,
        ["create", "join ana", "message ana", "drop ana", "reconnect ana", "timer turn", "leave ana Left"]
    );
    let message = Some(spec().fuel_per_message);
    assert_eq!(story.fuel, [None, message, message, message, message, None, message]);
}

#[test]
fn a_room_with_a_large_state_has_more_for_each_message() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    story.room.handle(Input::TakeSnapshot);
    story.turn();
    let bytes = story.room.state().unwrap().saved.as_ref().unwrap().state.len() as u64;
    story.fuel.clear();
    story.record(message(ANA, 2));
    assert_eq!(story.fuel, [Some(spec().fuel_per_message + STATE_FUEL * bytes)]);
}

/// A heap that has grown differently must not run out of fuel on a record that was answered.
#[test]
fn records_that_were_applied_before_run_with_the_rooms_budget() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    let known = story.log.len();
    story.fuel.clear();
    story.record(message_with(ANA, 2, "throw"));
    let message = Some(spec().fuel_per_message);
    let rebuilt = [None, None, None];
    assert_eq!(story.fuel, [&[message][..], &rebuilt].concat(), "create, join and message, again");

    let mut heir = Story::of(counter());
    heir.room.handle(Input::Inherited(story.log[known - 1].0));
    heir.replay(&story.log);
    assert_eq!(heir.fuel[..4], [None, None, None, message]);
}

/// A clock may decide a fault of a record that no host has applied before, and of no other.
#[test]
fn calls_that_may_have_been_made_before_are_marked() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(message(ANA, 1));
    assert_eq!(story.repeated, [""; 0], "each is the first");
    story.room.handle(Input::InstanceLost);
    story.record(message(ANA, 2));
    story.record(swap(9));
    story.record(message(ANA, 3));
    assert_eq!(story.repeated, ["open", "handle", "handle", "handle"], "up to the new message");
    story.repeated.clear();
    story.hibernate();
    story.record(message(ANA, 4));
    assert_eq!(story.repeated, ["open"], "a room that has lived needs an instance");

    let mut heir = Story::of(counter());
    heir.room.handle(Input::Inherited(story.log[1].0));
    heir.replay(&story.log);
    assert_eq!(heir.repeated, ["open", "handle", "handle"], "create and join");
}

/// Expensive messages within the budget are not replayed for each message that exceeds it.
#[test]
fn a_rebuild_replays_none_of_the_messages_before_the_last_failure() {
    for failure in ["burn", "throw", "trap"] {
        let mut story = Story::of(counter()).with_members(&[ANA]);
        for id in 1..=50 {
            story.record(message(ANA, id));
        }
        let fault = if failure == "trap" { trapped() } else { Fault::OutOfFuel(1) };
        story.fail(message_with(ANA, 51, failure), fault.clone());
        story.events.clear();
        story.fail(message_with(ANA, 52, failure), fault);
        assert_eq!(story.events, ["message ana"], "{failure}: the message itself, and nothing else");
        story.record(message(ANA, 53));
        assert_eq!(story.events, ["message ana", "message ana"]);
        assert_eq!(story.guest_state(), "51");
    }
}

#[test]
fn expensive_messages_lead_to_a_snapshot_soon() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    let dear = TAIL_FUEL / 20;
    let mut since = 0;
    for id in 1..=100 {
        story.burns = dear;
        let out = story.record(message(ANA, id));
        let saved = out.outputs.iter().any(|output| matches!(output, Output::Snapshot { .. }));
        since = if saved { 0 } else { since + 1 };
        assert!(since < 20, "a rebuild would cost {since} of them");
    }
}

#[test]
fn one_client_that_exhausts_its_budget_undoes_no_swap_and_a_second_one_does() {
    let mut story = Story::of(counter()).with_members(&[ANA, BEA]);
    story.record(swap(9));
    for id in 1..=4 {
        story.exhaust(message_with(ANA, id, "burn"));
        assert_eq!(story.room.state().unwrap().component, Digest([9; 32]), "one client, however often");
    }
    story.record(message(BEA, 1));
    story.is_the_same_in_a_replay();
    let out = story.exhaust(message_with(BEA, 2, "burn"));
    assert!(out.outputs.iter().any(|o| matches!(o, Output::Notice(Notice::SwapUndone { .. }))), "{out:?}");
    assert_eq!(story.room.state().unwrap().component, Digest([1; 32]));
    assert_eq!(story.guest_state(), "1", "what went well was kept");
    story.is_the_same_in_a_replay();
}

#[test]
fn a_trap_after_a_swap_undoes_it_for_any_sender() {
    let mut story = Story::of(counter()).with_members(&[ANA]);
    story.record(swap(9));
    story.exhaust(message_with(ANA, 1, "burn"));
    story.fail(message_with(ANA, 2, "trap"), trapped());
    assert_eq!(story.room.state().unwrap().component, Digest([1; 32]));
}

/// The account includes the replay of earlier messages, and the whole views that members are sent again.
#[test]
fn the_work_that_a_client_causes_is_on_its_account() {
    let mut story = Story::of(counter()).with_members(&[ANA, BEA]);
    let on_account = |story: &Story| story.room.account().map(|account| account.session);
    story.record(message(BEA, 1));
    assert_eq!(on_account(&story), Some(BEA));
    story.accounts.clear();
    let at = story.next;
    story.record(message_with(ANA, 1, "burn"));
    story.record(message(BEA, 2));
    story.record(fault(at, Fault::OutOfFuel(1)));
    let rebuilt = ["create", "join ana", "join bea", "message bea"].map(|_| Some(ANA));
    assert_eq!(story.accounts, [&[Some(ANA)][..], &rebuilt, &[Some(BEA)]].concat());
    assert_eq!(on_account(&story), Some(ANA), "the Fault, which resyncs every view");
    story.record(drop_of(ANA, EDGE));
    assert_eq!(on_account(&story), Some(ANA));
    let (_, id) = story.room.poll_timeout().unwrap();
    story.record(RoomCommand::Timer { id, name: None });
    assert_eq!(on_account(&story), None, "a timer is the room's");
}

impl Story {
    /// A record on which the guest fails, and the `Fault` record for it.
    fn fail(&mut self, command: RoomCommand, fault_: Fault) -> Out {
        let at = self.next;
        let out = self.record(command);
        let appended = out.outputs.iter().find_map(|output| match output {
            Output::Append(_, RoomCommand::Fault { fault, .. }) => Some(fault.clone()),
            _ => None,
        });
        match appended {
            Some(fault_record) => self.record(fault(at, fault_record)),
            None => {
                assert_ne!(fault_, trapped(), "it should have failed: {out:?}");
                out
            }
        }
    }

    fn exhaust(&mut self, command: RoomCommand) -> Out {
        self.fail(command, Fault::OutOfFuel(1))
    }

    /// Replays with all faults known in advance, as on a host that takes the room over.
    pub(super) fn is_the_same_in_a_replay(&self) {
        let mut heir = Story::of(|event: &Event| {
            assert!(!format!("{event:?}").contains("burn"), "it must not be tried again");
            counter()(event)
        });
        for (_, record) in &self.log {
            if let RoomCommand::Fault { at, fault } = &record.command {
                heir.room.handle(Input::FaultDecided { offset: at.offset, fault: fault.clone() });
            }
        }
        heir.replay(&self.log);
        let plain = |room: &Room| State { saved: None, probation: None, ..room.state().unwrap().clone() };
        assert_eq!(plain(&heir.room), plain(&self.room));
    }
}

impl Out {
    fn charged(&self) -> Vec<Option<SessionId>> {
        let notices = self.outputs.iter().filter_map(|output| match output {
            Output::Notice(Notice::Faulted { charged, .. }) => Some(*charged),
            _ => None,
        });
        notices.collect()
    }
}

fn failing_on(event: &'static str, fault: Fault) -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    move |it| if name(it) == event { Err(fault.clone()) } else { greeter()(it) }
}

fn events_of_bea(event: &Event) -> bool {
    matches!(
        event,
        Event::Drop { session: BEA } | Event::Reconnect { session: BEA } | Event::Leave { session: BEA, .. }
    )
}

fn fault(offset: Offset, fault: Fault) -> RoomCommand {
    RoomCommand::Fault { at: OutputId { offset, index: 0 }, fault }
}
