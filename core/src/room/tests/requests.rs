//! Stories of requests and their answers.

use super::*;

fn find() -> Effect {
    find_for("tables")
}

fn find_for(handler: &str) -> Effect {
    Effect::Request {
        kind: RequestKind::Find,
        handler: handler.into(),
        after_ms: 10_000,
        payload: Json::trusted("7"),
        data: Json::trusted(r#"{"kind":"table"}"#),
    }
}

/// Each message makes as many requests as its data states.
fn seeker() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
        Event::Message { data, .. } => Ok((0..data.parse().unwrap_or(1)).map(|_| find()).collect()),
        Event::Answer { result: Err(error), .. } if error.contains("throw") => Err(Fault::Threw("no".into())),
        Event::Answer { .. } => Ok(vec![broadcast("found")]),
        _ => Ok(vec![]),
    }
}

fn asks(id: u64, count: u32) -> RoomCommand {
    let data = Json::of(&count);
    RoomCommand::Message { session: ANA, message_id: id, msg_type: "say".into(), data }
}

fn performed(out: &Out) -> Vec<OutputId> {
    let number = |output: &Output| match output {
        Output::Perform { number, .. } => Some(*number),
        _ => None,
    };
    out.outputs.iter().filter_map(number).collect()
}

fn answer(number: OutputId, text: &'static str) -> RoomCommand {
    RoomCommand::Answer { request: number, answer: Answer::Result(Ok(Json::trusted(text))) }
}

fn pending(story: &Story) -> usize {
    story.room.state().expect("it lives").requests.len()
}

#[test]
fn a_request_is_performed_once_and_its_first_answer_reaches_the_handler() {
    let mut story = Story::of(seeker()).with_members(&[ANA]);
    let [number] = performed(&story.record(asks(1, 1)))[..] else { panic!("one request") };
    assert!(performed(&story.record(asks(2, 0))).is_empty(), "it was output before");
    assert!(story.record(answer(number, "[1]")).to_edge()[0].contains("event"));
    assert_eq!(story.events.last().unwrap(), "answer tables [1]");
    let before = story.events.len();
    story.record(answer(number, "[2]"));
    assert_eq!((story.events.len(), pending(&story)), (before, 0), "a second answer has no effect");
}

#[test]
fn a_failure_is_an_answer() {
    let mut story = Story::of(seeker()).with_members(&[ANA]);
    let number = performed(&story.record(asks(1, 1)))[0];
    let answer = Answer::Result(Err("the store is unreachable".into()));
    story.record(RoomCommand::Answer { request: number, answer });
    assert_eq!(story.events.last().unwrap(), "answer tables failed: the store is unreachable");
}

#[test]
fn a_request_without_an_answer_fails_at_its_deadline() {
    let mut story = Story::of(seeker()).with_members(&[ANA]);
    let number = performed(&story.record(asks(1, 1)))[0];
    assert_eq!(story.room.poll_timeout(), Some((story.now.plus(10_000), number)));
    story.wait();
    assert_eq!(story.events.last().unwrap(), "answer tables failed: no answer within 10000 ms");
    let before = story.events.len();
    story.record(answer(number, "[1]"));
    assert_eq!(story.events.len(), before, "it is too late");
    assert_eq!(story.room.poll_timeout(), None);
}

#[test]
fn a_replay_reads_the_answer_from_the_log_and_performs_nothing() {
    let mut story = Story::of(seeker()).with_members(&[ANA]);
    let number = performed(&story.record(asks(1, 1)))[0];
    story.record(answer(number, "[1]"));
    let (log, state) = (story.log.clone(), story.room.state().unwrap().clone());
    let mut again = Story::of(seeker());
    for (offset, record) in &log {
        again.room.handle(Input::Record(*offset, record.clone()));
    }
    assert!(performed(&again.turn()).is_empty());
    assert_eq!(again.room.state().unwrap(), &state);
    assert_eq!(again.events, story.events);
}

#[test]
fn a_room_that_is_restored_performs_its_pending_requests_again() {
    let mut story = Story::of(seeker()).with_members(&[ANA]);
    let number = performed(&story.record(asks(1, 1)))[0];
    story.hibernate();
    assert_eq!(performed(&story.turn()), [number]);
    story.record(answer(number, "[1]"));
    assert_eq!(story.events.last().unwrap(), "answer tables [1]");
}

#[test]
fn a_rebuilt_instance_gets_the_answer_and_performs_nothing_again() {
    let mut story = Story::of(seeker()).with_members(&[ANA]);
    let number = performed(&story.record(asks(1, 1)))[0];
    story.room.handle(Input::InstanceLost);
    let mut out = story.turn();
    out.outputs.extend(story.record(answer(number, "[1]")).outputs);
    assert!(performed(&out).is_empty());
    assert_eq!(story.events.last().unwrap(), "answer tables [1]");
}

#[test]
fn the_seventeenth_pending_request_is_a_fault() {
    let mut story = Story::of(seeker()).with_members(&[ANA]);
    assert_eq!(performed(&story.record(asks(1, 16))).len(), MAX_REQUESTS);
    let out = story.record(asks(2, 1));
    assert!(matches!(&out.outputs[..], [Output::Append(_, RoomCommand::Fault { fault: Fault::TooMuch(_), .. })]));
}

#[test]
fn an_answer_whose_handler_fails_is_given_once() {
    let mut story = Story::of(seeker()).with_members(&[ANA]);
    let number = performed(&story.record(asks(1, 1)))[0];
    let failing = || RoomCommand::Answer { request: number, answer: Answer::Result(Err("throw".into())) };
    story.record(failing());
    assert_eq!(pending(&story), 0);
    let before = story.events.iter().filter(|event| event.starts_with("answer")).count();
    story.record(failing());
    assert_eq!(story.events.iter().filter(|event| event.starts_with("answer")).count(), before);
}

#[test]
fn an_answer_without_a_handler_has_no_effect() {
    let mut story = Story::of(seeker()).with_members(&[ANA]);
    let number = performed(&story.record(asks(1, 1)))[0];
    story.spec = Arc::new(ComponentSpec { answers: Default::default(), ..ComponentSpec::clone(&spec()) });
    story.record(RoomCommand::Swap { component: Digest([9; 32]), rollout: None });
    let before = story.events.len();
    story.record(answer(number, "[1]"));
    assert_eq!((story.events.len(), pending(&story)), (before, 0));
}
