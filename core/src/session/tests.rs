//! Stories of a session, by theme. Each story plays the edge, the store and the rooms.

mod deliveries;
mod echoes;
mod leaving;
mod liveness;
mod messages;
mod moves;
mod opening;
mod rates;
mod renewals;
mod resends;
mod window;

use std::collections::BTreeMap;

use super::*;
use crate::{
    command::{Answer, Joining, LeaveReason, OutputRef, Player, RequestId, Target},
    frame::{ClientFrame, Msg, RoomFrame},
    identity::{Account, Identity},
    ids::{Kind, OutputId},
    json::Json,
};

const LOBBY: RoomId = RoomId::LOBBY;
const GAME: RoomId = RoomId(7);
const OTHER: RoomId = RoomId(8);
const HERE: ConnectionId = ConnectionId(5);
const BEFORE: ConnectionId = ConnectionId(4);
const ANY: RequestId = RequestId { connection: HERE, number: 0 };
const ANA: SessionId = SessionId(1);

struct Story {
    session: Session,
    now: Time,
    /// The number of the latest request to each room.
    requests: BTreeMap<RoomId, u32>,
}

impl Story {
    fn begin() -> Story {
        let now = Time(1_000_000);
        Story { session: Session::new(edge(), HERE, Limits::default(), now), now, requests: BTreeMap::new() }
    }

    fn resumed(rooms: &[RoomId]) -> Story {
        let mut story = Story::begin();
        story.frame(r#"{"t":"hello","resume":"x"}"#);
        story.outputs();
        story.on(Input::Opened(resumed(rooms)));
        story.on(Input::Pong);
        // Its `welcome` and its requests are tested elsewhere.
        let joins = |output: &Output| matches!(output, Output::Store(StoreWrite::Join(..)));
        story.session.outputs.retain(joins);
        story
    }

    /// A resumed session whose client has these frames of these rooms.
    fn resumed_with(rooms: &[(RoomId, u64)]) -> Story {
        let mut story = Story::begin();
        let last: Vec<String> = rooms.iter().map(|(room, seq)| format!(r#""{room}":{seq}"#)).collect();
        story.frame(&format!(r#"{{"t":"hello","resume":"x","last":{{{}}}}}"#, last.join(",")));
        let ids: Vec<RoomId> = rooms.iter().map(|(room, _)| *room).collect();
        story.on(Input::Opened(resumed(&ids)));
        story.on(Input::Pong);
        story.outputs();
        story
    }

    fn resumed_in(&mut self, room: RoomId, number: u32, applied: u64) {
        let request = RequestId { connection: HERE, number };
        self.command(EdgeCommand::Resumed { session: ANA, request, room, applied });
    }

    fn in_lobby() -> Story {
        let mut story = Story::begin();
        story.frame(r#"{"t":"hello"}"#);
        story.on(Input::Opened(new_session()));
        story.admitted_from(LOBBY, None);
        story.deliver(LOBBY, 1, view(LOBBY));
        story.outputs();
        story
    }

    fn in_game() -> Story {
        let mut story = Story::in_lobby();
        story.move_to(GAME);
        story
    }

    fn move_to(&mut self, room: RoomId) {
        self.request_move(room, output_id(9));
        self.on(Input::Stored { room, done: true });
        self.admitted(room, output_id(9));
        self.deliver(room, 1, view(room));
        self.deliver(LOBBY, 2, RoomFrame::left(LOBBY, "moved"));
        self.left(LOBBY);
        self.departed();
    }

    fn move_back(&mut self) {
        let from = OutputRef { room: GAME, number: OutputId { offset: 5, index: 1 } };
        self.request_move_from(from, LOBBY);
        self.on(Input::Stored { room: LOBBY, done: true });
        self.admitted_from(LOBBY, Some(from));
        self.deliver(LOBBY, 3, view(LOBBY));
        self.deliver(GAME, 2, RoomFrame::left(GAME, "moved"));
        self.left(GAME);
        self.departed();
    }

    fn on(&mut self, input: Input<'_>) {
        self.session.handle(input, self.now);
        for output in &mut self.session.outputs {
            if let Output::Append { room, command, .. } = output
                && let RoomCommand::Join(Joining { request, .. }) | RoomCommand::Reconnect { request, .. } = command
            {
                let latest = self.requests.entry(*room).or_default();
                *latest = request.number.max(*latest);
                // Stories compare requests without their numbers.
                request.number = 0;
            }
        }
    }

    /// The latest request to a room.
    fn request(&self, room: RoomId) -> RequestId {
        RequestId { connection: HERE, number: self.requests.get(&room).copied().unwrap_or(0) }
    }

    /// The outputs once the end of a membership is written that could have waited for a join.
    fn departed(&mut self) -> Vec<Output> {
        self.wait(100);
        self.outputs()
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.on(Input::Tick);
    }

    fn frame(&mut self, text: &str) {
        self.on(Input::Frame(ClientFrame::parse(text)));
    }

    /// A message to the lobby, and its reply.
    fn msg_and_reply(&mut self, message_id: u64) {
        self.msg(message_id, None);
        self.reply(LOBBY, message_id, message_id);
        self.outputs();
    }

    fn reply(&mut self, room: RoomId, seq: u64, message_id: u64) {
        self.deliver(room, seq, RoomFrame::reply(room, message_id, &Json::null()));
    }

    fn received(&mut self, bytes: u32) {
        self.on(Input::Received { bytes, player_wait_ms: 0 });
    }

    fn spent(&mut self, micros: u32) {
        self.command(EdgeCommand::Spent { session: ANA, connection: HERE, micros });
    }

    fn msg_with(&mut self, message_id: u64, data: Json) {
        self.on(Input::Frame(Ok(ClientFrame::Msg(Msg { message_id, room: None, msg_type: "hi".into(), data }))));
    }

    fn msg(&mut self, message_id: u64, room: Option<RoomId>) {
        let msg = Msg { message_id, room, msg_type: "hi".into(), data: Json::null() };
        self.on(Input::Frame(Ok(ClientFrame::Msg(msg))));
    }

    fn deliver(&mut self, room: RoomId, seq: u64, frame: RoomFrame) {
        self.deliver_to(HERE, room, seq, frame);
    }

    fn deliver_to(&mut self, connection: ConnectionId, room: RoomId, seq: u64, frame: RoomFrame) {
        let target = Target { session: ANA, connection, seq };
        assert_eq!(frame.room_id(), room);
        self.on(Input::Deliver { target, frame: &frame });
    }

    fn command(&mut self, command: EdgeCommand) {
        self.on(Input::Command(command));
    }

    fn request_move(&mut self, room: RoomId, number: OutputId) {
        self.request_move_from(OutputRef { room: LOBBY, number }, room);
    }

    fn request_move_from(&mut self, from: OutputRef, room: RoomId) {
        self.command(EdgeCommand::Move { session: ANA, connection: HERE, room, options: Json::null(), from });
    }

    fn admitted(&mut self, room: RoomId, number: OutputId) {
        self.admitted_from(room, Some(OutputRef { room: LOBBY, number }));
    }

    fn admitted_from(&mut self, room: RoomId, from: Option<OutputRef>) {
        self.admitted_after(room, self.request(room).number, from);
    }

    fn admitted_after(&mut self, room: RoomId, number: u32, from: Option<OutputRef>) {
        let request = RequestId { connection: HERE, number };
        self.command(EdgeCommand::Admitted { session: ANA, request, room, from });
    }

    fn refused(&mut self, room: RoomId, number: OutputId) {
        let from = Some(OutputRef { room: LOBBY, number });
        let request = self.request(room);
        self.command(EdgeCommand::Refused { session: ANA, request, room, from, reason: "full".into() });
    }

    fn left(&mut self, room: RoomId) {
        self.left_as(room, LeaveReason::Left);
    }

    fn left_after(&mut self, room: RoomId, number: u32) {
        let (request, reason) = (RequestId { connection: HERE, number }, LeaveReason::Left);
        self.command(EdgeCommand::Left { session: ANA, request, room, reason });
    }

    fn left_as(&mut self, room: RoomId, reason: LeaveReason) {
        let request = self.request(room);
        self.command(EdgeCommand::Left { session: ANA, request, room, reason });
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    fn next(&mut self) -> Output {
        self.session.poll_output().expect("there is an output")
    }

    fn expect_seq(&mut self, wanted: u64) {
        let output = self.next();
        assert!(matches!(output, Output::Send(Outgoing::Room { seq, .. }) if seq == wanted), "{output:?}");
    }

    fn expect_error(&mut self, id: Option<u64>, code: &str) {
        let frame: serde_json::Value = serde_json::from_str(&text(&self.next())).expect("an error frame");
        assert_eq!((frame["t"].as_str(), frame["code"].as_str()), (Some("error"), Some(code)));
        assert_eq!(frame.get("id").and_then(serde_json::Value::as_u64), id);
    }

    fn expect_close(&mut self, wanted: CloseCode) {
        let outputs = self.outputs();
        let closes = |output: &Output| matches!(output, Output::Close { code, .. } if *code == wanted);
        assert!(outputs.iter().any(closes), "{:?}", outputs.last());
        assert!(self.session.is_ended());
    }
}

fn edge() -> MachineId {
    MachineId("edge-1".into())
}

fn player() -> Player {
    Player { id: "p1".into(), name: "Ana".into() }
}

fn new_session() -> Opened {
    let identity = Identity::guest(player());
    Opened { session: ANA, identity, was: None, resume: "token".into(), guest: None, owed: 0, recovered: None }
}

fn resumed(rooms: &[RoomId]) -> Opened {
    Opened { recovered: Some(rooms.to_vec()), ..new_session() }
}

fn output_id(offset: u64) -> OutputId {
    OutputId { offset, index: 0 }
}

fn append(room: RoomId, command: RoomCommand) -> Output {
    Output::Append { room, command, message_id: None }
}

fn join(room: RoomId, message_id: u64, number: Option<OutputId>) -> Output {
    let from = number.map(|number| OutputRef { room: LOBBY, number });
    let (player, edge, options) = (player(), edge(), Json::null());
    append(
        room,
        RoomCommand::Join(Joining {
            session: ANA,
            player,
            claims: None,
            edge,
            request: ANY,
            message_id,
            options,
            from,
        }),
    )
}

fn message(room: RoomId, message_id: u64) -> Output {
    let command = RoomCommand::Message { session: ANA, message_id, msg_type: "hi".into(), data: Json::null() };
    Output::Append { room, command, message_id: Some(message_id) }
}

fn reconnect(room: RoomId, last_seq: Option<u64>) -> Output {
    append(room, RoomCommand::Reconnect { session: ANA, edge: edge(), request: ANY, last_seq })
}

fn drop_from(room: RoomId, code: u16) -> Output {
    append(room, RoomCommand::Drop { session: ANA, edge: edge(), code })
}

fn leave(room: RoomId, reason: LeaveReason) -> Output {
    append(room, RoomCommand::Leave { session: ANA, reason })
}

fn answer_refused(request: OutputId, reason: &str) -> Output {
    let answer = Answer::MoveRefused { session: ANA, room: GAME, reason: reason.into() };
    append(LOBBY, RoomCommand::Answer { request, answer })
}

fn view(room: RoomId) -> RoomFrame {
    RoomFrame::room(room, &Kind::lobby(), 0, &Json::null())
}

fn event(room: RoomId) -> RoomFrame {
    RoomFrame::event(room, "happened", &Json::null())
}

fn disconnected(silent: bool) -> Output {
    Output::Store(StoreWrite::Disconnected { session: ANA, silent })
}

fn left_frame(room: RoomId, seq: u64) -> String {
    RoomFrame::left(room, "left").with_seq(seq)
}

fn text(output: &Output) -> String {
    match output {
        Output::Send(outgoing) => outgoing.clone().into_text(),
        other => panic!("not a frame: {other:?}"),
    }
}
