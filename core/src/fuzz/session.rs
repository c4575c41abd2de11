//! Any frames of a client, and the machine of its connection, with an edge, a store and rooms that answer everything.

use serde_json::Value;

use crate::{
    command::{EdgeCommand, Joining, Player, RequestId, RoomCommand, Target},
    frame::{ClientFrame, CloseCode, MAX_FRAME, RoomFrame},
    identity::{Account, Identity},
    ids::{ConnectionId, Kind, MachineId, OutputId, RoomId, SessionId, Time},
    json::Json,
    session::{Input, Limits, Opened, Outgoing, Output, Session, StoreWrite},
};

const HERE: ConnectionId = ConnectionId(5);
const ANA: SessionId = SessionId(1);

/// More lines are not read.
const MAX_LINES: usize = 512;

/// One machine, and what the world around it has counted.
struct World {
    session: Session,
    now: Time,
    seqs: std::collections::BTreeMap<RoomId, u64>,
    is_closed: bool,
}

/// One input a line. A line that begins with `!` is no frame: a digit chooses what happens.
pub fn session(bytes: &[u8]) {
    let now = Time(1_000_000);
    let session = Session::new(MachineId("edge-1".into()), HERE, Limits::default(), now);
    let mut world = World { session, now, seqs: Default::default(), is_closed: false };
    for line in bytes.split(|byte| *byte == b'\n').take(MAX_LINES) {
        world.now = world.now.plus(10);
        match line {
            [b'!', rest @ ..] => world.happens(rest),
            _ => {
                let Some(text) = super::text(line) else { continue };
                world.on(Input::Frame(ClientFrame::parse(text)));
            }
        }
        world.answer();
    }
    world.on(Input::Lost { code: CloseCode::ABNORMAL });
    world.answer();
    assert!(world.session.is_ended());
}

impl World {
    fn on(&mut self, input: Input<'_>) {
        self.session.handle(input, self.now);
    }

    fn happens(&mut self, what: &[u8]) {
        let number = what.get(1).copied().unwrap_or(0);
        let from =
            crate::command::OutputRef { room: RoomId::LOBBY, number: OutputId { offset: 7, index: u32::from(number) } };
        let room = RoomId(u128::from(number % 4) + 1);
        match what.first() {
            Some(b'0') => {
                self.now = self.now.plus(u64::from(number) * 100);
                self.on(Input::Tick);
            }
            Some(b'1') => self.on(Input::Ping),
            Some(b'2') => self.on(Input::Pong),
            Some(b'3') => self.on(Input::Fragments(u32::from(number))),
            Some(b'4') => {
                let options = Json::null();
                self.on(Input::Command(EdgeCommand::Move { session: ANA, connection: HERE, room, options, from }));
            }
            Some(b'5') => self.on(Input::Command(EdgeCommand::Spent {
                session: ANA,
                connection: HERE,
                micros: u32::from(number) * 1_000,
            })),
            Some(b'6') => {
                let seq = u64::from(number);
                let frame = RoomFrame::event(room, "e", &Json::null());
                self.on(Input::Deliver { target: Target { session: ANA, connection: HERE, seq }, frame: &frame });
            }
            Some(b'7') => self.on(Input::Contested),
            Some(b'8') => self.on(Input::Malformed("a test")),
            _ => self.on(Input::FellBehind),
        }
    }

    /// Carries out all outputs, as the shell does.
    fn answer(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.session.poll_output() {
            outputs += 1;
            assert!(outputs < 2_000, "the machine never rests");
            match output {
                Output::Send(sent) => self.read(sent),
                Output::Ping | Output::Pause { .. } => {}
                Output::Close { reason, .. } => {
                    assert!(!self.is_closed && reason.len() <= 123, "a close frame has 123 bytes: {reason}");
                    self.is_closed = true;
                }
                Output::Hello(hello) if hello.name.as_deref() == Some("refused") => {
                    self.on(Input::NotOpened { code: CloseCode::Unauthorized, reason: "refused".into() });
                }
                Output::Hello(hello) => self.on(Input::Opened(opened(hello.resume.is_some(), self.now))),
                Output::Renew(token) => self.on(Input::Renewed(match token.expose() {
                    "" => Err((CloseCode::Unauthorized, "refused".into())),
                    _ => Ok(Account {
                        id: "u:ana".into(),
                        name: None,
                        claims: None,
                        expires: self.now.plus(60_000),
                        issued: None,
                        token_id: None,
                    }),
                })),
                Output::Store(StoreWrite::Join(_, room) | StoreWrite::Move { room, .. }) => {
                    self.on(Input::Stored { room, done: true })
                }
                Output::Store(_) => {}
                Output::Append { room, command, message_id } => self.room(room, command, message_id),
            }
        }
    }

    fn read(&mut self, sent: Outgoing) {
        assert!(!self.is_closed, "nothing is sent after the close");
        let text = sent.into_text();
        assert!(text.len() <= MAX_FRAME, "an answer is not longer than a frame");
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }

    /// A room that admits everybody, and replies to every message.
    fn room(&mut self, room: RoomId, command: RoomCommand, message_id: Option<u64>) {
        match command {
            RoomCommand::Join(Joining { request, from, .. }) => {
                self.on(Input::Command(EdgeCommand::Admitted { session: ANA, request, room, from }));
                self.deliver(RoomFrame::room(room, &Kind::lobby(), 0, &Json::null()));
            }
            RoomCommand::Reconnect { request, .. } => {
                self.deliver(RoomFrame::room(room, &Kind::lobby(), 0, &Json::null()));
                self.on(Input::Command(EdgeCommand::Resumed { session: ANA, request, room, applied: 0 }));
            }
            RoomCommand::Message { msg_type, .. } if &*msg_type == "lost" => {
                self.on(Input::NotAppended { room, message_id });
            }
            RoomCommand::Message { msg_type, .. } if &*msg_type == "leave" => {
                self.deliver(RoomFrame::left(room, "left"));
                let request = RequestId { connection: HERE, number: 1 };
                let reason = crate::command::LeaveReason::Left;
                self.on(Input::Command(EdgeCommand::Left { session: ANA, request, room, reason }));
            }
            RoomCommand::Message { message_id, msg_type, .. } if &*msg_type != "silent" => {
                self.deliver(RoomFrame::reply(room, message_id, &Json::null()));
            }
            _ => {}
        }
    }

    fn deliver(&mut self, frame: RoomFrame) {
        let seq = self.seqs.entry(frame.room_id()).or_default();
        *seq += 1;
        let target = Target { session: ANA, connection: HERE, seq: *seq };
        self.session.handle(Input::Deliver { target, frame: &frame }, self.now);
    }
}

fn opened(resumes: bool, now: Time) -> Opened {
    let player = Player { id: "u:ana".into(), name: "Ana".into() };
    Opened {
        session: ANA,
        identity: Identity { expires: Some(now.plus(60_000)), ..Identity::guest(player) },
        was: None,
        resume: "next".into(),
        guest: None,
        owed: 0,
        recovered: resumes.then(|| vec![RoomId::LOBBY, RoomId(1)]),
    }
}
