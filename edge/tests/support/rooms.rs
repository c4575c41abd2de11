//! Rooms without a host: one task reads the log, and does what the messages request. Their types are in `Task::message`.

use std::collections::HashMap;

use chorus_bus::Bus;
use chorus_core::{
    command::{Deliveries, EdgeCommand, Joining, LeaveReason, OutputRef, Record, RequestId, RoomCommand, Target},
    frame::RoomFrame,
    ids::{Kind, MachineId, Offset, OutputId, RoomId, SessionId},
    json::Json,
};
use tokio::sync::watch;

use super::{CLOSED, within};

/// The rooms, by the records that they have received, in the order of the log.
#[derive(Clone)]
pub struct Rooms {
    records: watch::Receiver<Vec<Record>>,
}

#[derive(Clone)]
struct Member {
    edge: MachineId,
    request: RequestId,
    connected: bool,
    /// The frames so far; the last one's number is their count.
    frames: Vec<RoomFrame>,
    applied: u64,
}

struct Task {
    bus: Bus,
    members: HashMap<(RoomId, SessionId), Member>,
    /// Frame numbers continue after those of an earlier stay.
    stays: HashMap<(RoomId, SessionId), usize>,
    records: watch::Sender<Vec<Record>>,
}

impl Rooms {
    pub fn run(bus: Bus) -> Rooms {
        let (sender, records) = watch::channel(Vec::new());
        let task = Task { bus, members: HashMap::new(), stays: HashMap::new(), records: sender };
        tokio::spawn(task.run());
        Rooms { records }
    }

    /// Waits until a room has received such a command.
    pub async fn receive(&self, what: &str, is: impl Fn(RoomId, &RoomCommand) -> bool) {
        self.receive_many(1, what, is).await;
    }

    /// Waits until rooms have received this many such commands.
    pub async fn receive_many(&self, count: usize, what: &str, is: impl Fn(RoomId, &RoomCommand) -> bool) {
        let matching = |all: &Vec<Record>| all.iter().filter(|record| is(record.room, &record.command)).count();
        let mut records = self.records.clone();
        within(what, records.wait_for(|all| matching(all) >= count)).await.expect("rooms run");
    }

    pub fn count(&self, is: impl Fn(&RoomCommand) -> bool) -> usize {
        self.records.borrow().iter().filter(|record| is(&record.command)).count()
    }
}

impl Task {
    async fn run(mut self) {
        let mut reader = self.bus.read(0, 0);
        let mut batch = Vec::new();
        while reader.next(&mut batch).await.is_ok() {
            for (offset, record) in batch.drain(..) {
                self.apply(offset, &record);
                self.records.send_modify(|records| records.push(record));
            }
        }
    }

    fn apply(&mut self, offset: Offset, record: &Record) {
        let room = record.room;
        match &record.command {
            RoomCommand::Join(Joining { session, edge, request, from, .. }) => {
                self.join(room, *session, (edge, *request), *from);
            }
            RoomCommand::Message { session, message_id, msg_type, data } => {
                self.message(offset, room, *session, *message_id, msg_type, data);
            }
            RoomCommand::Reconnect { session, edge, request, last_seq } => {
                self.reconnect(room, *session, (edge, *request), *last_seq);
            }
            RoomCommand::Drop { session, edge, .. } => {
                if let Some(member) = self.members.get_mut(&(room, *session)).filter(|member| member.edge == *edge) {
                    member.connected = false;
                }
            }
            RoomCommand::Leave { session, reason } => self.leave(room, *session, *reason),
            _ => {}
        }
    }

    /// The embedded bus confirms a command at once.
    fn send_edge(&self, edge: &MachineId, command: EdgeCommand) {
        drop(self.bus.send_edge(edge, command));
    }

    fn join(
        &mut self,
        room: RoomId,
        session: SessionId,
        (edge, request): (&MachineId, RequestId),
        from: Option<OutputRef>,
    ) {
        if room == CLOSED {
            let reason = "closed".into();
            self.send_edge(edge, EdgeCommand::Refused { session, request, room, from, reason });
            return;
        }
        let frames = vec![view(room, 0); self.stays.get(&(room, session)).copied().unwrap_or(0)];
        let member = Member { edge: edge.clone(), request, connected: true, frames, applied: 0 };
        self.members.entry((room, session)).or_insert(member);
        self.send_edge(edge, EdgeCommand::Admitted { session, request, room, from });
        self.send(room, session, view(room, 0));
    }

    fn message(&mut self, offset: Offset, room: RoomId, session: SessionId, id: u64, msg_type: &str, data: &Json) {
        let Some(member) = self.members.get_mut(&(room, session)) else { return };
        if id <= member.applied {
            return;
        }
        member.applied = id;
        let (edge, connection) = (member.edge.clone(), member.request.connection);
        let number = OutputId { offset, index: 1 };
        match msg_type {
            "echo" => self.send(room, session, RoomFrame::reply(room, id, data)),
            "move" => {
                let to = data.trim_matches('"').parse().expect("a room's id");
                let from = OutputRef { room, number };
                let join = EdgeCommand::Move { session, connection, room: to, options: Json::null(), from };
                self.send_edge(&edge, join.clone());
                // A host that has taken over repeats it, since the one before may not have sent it.
                self.send_edge(&edge, join);
            }
            "kick" => self.send_edge(&edge, EdgeCommand::Kick { session, connection, room, reason: "cheating".into() }),
            "leave" => self.leave(room, session, LeaveReason::Left),
            // As many events of 1,000 bytes as the message requests.
            "flood" => {
                let event = RoomFrame::event(room, "flood", &Json::of(&"x".repeat(1000)));
                let count: u32 = data.parse().expect("a number");
                (0..count).for_each(|_| self.send(room, session, event.clone()));
            }
            "twice" => {
                self.send(room, session, RoomFrame::reply(room, id, data));
                self.resend(room, session, 1);
            }
            other => panic!("no room has a handler for {other}"),
        }
    }

    fn reconnect(
        &mut self,
        room: RoomId,
        session: SessionId,
        (edge, request): (&MachineId, RequestId),
        last: Option<u64>,
    ) {
        let Some(member) = self.members.get_mut(&(room, session)) else {
            let reason = LeaveReason::Left;
            self.send_edge(edge, EdgeCommand::Left { session, request, room, reason });
            return;
        };
        member.edge = edge.clone();
        member.request = request;
        member.connected = true;
        let applied = member.applied;
        match last {
            Some(last) => self.resend(room, session, last as usize + 1),
            None => self.send(room, session, view(room, applied)),
        }
    }

    fn leave(&mut self, room: RoomId, session: SessionId, reason: LeaveReason) {
        self.send(room, session, RoomFrame::left(room, "left"));
        let Some(member) = self.members.remove(&(room, session)) else { return };
        self.stays.insert((room, session), member.frames.len());
        let request = member.request;
        self.send_edge(&member.edge, EdgeCommand::Left { session, request, room, reason });
    }

    fn send(&mut self, room: RoomId, session: SessionId, frame: RoomFrame) {
        let Some(member) = self.members.get_mut(&(room, session)) else { return };
        member.frames.push(frame);
        let seq = member.frames.len();
        self.resend(room, session, seq);
    }

    /// Resends all frames from this number on.
    fn resend(&mut self, room: RoomId, session: SessionId, first: usize) {
        let member = &self.members[&(room, session)];
        for (seq, frame) in (1..).zip(&member.frames).skip(first - 1) {
            if member.connected {
                let target = Target { session, connection: member.request.connection, seq };
                self.send_edge(&member.edge, EdgeCommand::Deliver(Deliveries::one(frame.clone(), target)));
            }
        }
    }
}

fn view(room: RoomId, ack: u64) -> RoomFrame {
    RoomFrame::room(room, &Kind::lobby(), ack, &Json::trusted(r#"{"here":true}"#))
}
