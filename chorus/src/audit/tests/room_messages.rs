//! Messages between rooms.

use chorus_core::{
    command::{Record, RoomCommand},
    json::Json,
};

use super::{
    super::{
        channels::Channel,
        reference::{OutgoingMessage, Replay},
        report::{Figures, Rule},
        room_messages::RoomMessages,
        stored::Stored,
    },
    logs::{ANA, OTHER, ROOM, a_chat, numbered, play_to},
    stored::stored,
};

#[tokio::test]
async fn a_rooms_messages_are_in_the_other_rooms_channel_and_no_others_are() {
    let mut log = a_chat();
    log.push(RoomCommand::Message { session: ANA, message_id: 3, msg_type: "send-room".into(), data: Json::null() });
    let played = play_to(&log, Some(log.len() as u64 - 1)).await;
    let number = match &played.outgoing[0].message {
        OutgoingMessage::Append { command: RoomCommand::RoomMessage { number, .. }, .. } => *number,
        other => panic!("{other:?}"),
    };
    let sent = RoomCommand::RoomMessage {
        from: ROOM,
        number,
        data: chorus_core::command::RoomData::Message(Json::trusted("5")),
    };
    let mut another = sent.clone();
    if let RoomCommand::RoomMessage { number, .. } = &mut another {
        number.index += 1;
    }
    let state = played.states[&(log.len() as u64 - 1)].clone();
    let check = |theirs: Vec<RoomCommand>| {
        let ours = Channel { partition: 0, records: numbered(&log) };
        let mut messages = RoomMessages::of(&played, &ours, &stored(Some((log.len() as u64 - 1, &state)), 0));
        let theirs = numbered(&theirs).into_iter().map(|(offset, record)| (offset, Record { room: OTHER, ..record }));
        let theirs = Channel { partition: 0, records: theirs.collect() };
        messages.extend(RoomMessages::of(&Replay::default(), &theirs, &Stored { room: OTHER, ..stored(None, 0) }));
        let found = messages.check(|_| true, &mut Figures::default());
        found.into_iter().map(|found| found.rule).collect::<Vec<_>>()
    };
    assert_eq!(check(vec![sent.clone(), sent.clone()]), []);
    assert_eq!(check(vec![]), [Rule::OutputMissing]);
    assert_eq!(check(vec![sent, another]), [Rule::OutputUnknown]);
}
