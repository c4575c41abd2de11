//! Frames of records that a `Fault` voids, and a script that failed without one.

use chorus_core::{
    command::{Fault, RoomCommand},
    ids::OutputId,
    json::Json,
};

use super::{
    super::report::Rule,
    logs::{ANA, BEN, a_chat, create, join, message, play},
    players::{found, of, timelines},
};

/// The record at 4 is taken back by the one at 6.
fn a_fault() -> Vec<RoomCommand> {
    let fault = Fault::OutOfMemory(1);
    vec![
        create(),
        join(ANA),
        join(BEN),
        message(BEN, 1),
        message(ANA, 1),
        message(BEN, 2),
        RoomCommand::Fault { at: OutputId { offset: 4, index: 0 }, fault },
        message(BEN, 3),
    ]
}

#[tokio::test]
async fn frames_that_the_log_took_back_may_have_been_received() {
    let played = play(&a_fault()).await;
    assert!(played.messages[&(ANA, 1)].applied_at == [4], "it was applied, as a failure");
    let (kept, back) = timelines(&played, BEN);
    assert_eq!(found(&played, &of(&played, BEN, &kept)), []);
    assert_eq!(found(&played, &of(&played, BEN, &back)), []);
    assert!(back.iter().any(|(_, text)| text.contains("said")) && kept != back);
}

#[tokio::test]
async fn frames_that_the_log_took_back_end_at_the_whole_view() {
    let played = play(&a_fault()).await;
    let (kept, back) = timelines(&played, BEN);
    let (seq, text) = back.iter().find(|entry| !kept.contains(entry)).unwrap();
    let late: Vec<_> = kept.iter().cloned().chain([(seq + 20_000, text.clone())]).collect();
    let rules = found(&played, &of(&played, BEN, &late));
    assert!(rules.contains(&Rule::FrameUnknown), "{rules:?}");
}

#[tokio::test]
async fn a_failed_script_without_a_fault_record_ends_the_replay_there() {
    let mut log = a_chat();
    log.push(RoomCommand::Message { session: ANA, message_id: 3, msg_type: "trap".into(), data: Json::null() });
    log.push(message(BEN, 2));
    let played = play(&log).await;
    assert_eq!(played.stuck_at, Some(log.len() as u64 - 2));
    assert!(played.messages[&(BEN, 2)].applied_at.is_empty());
}
