//! Stories of a room. The guest is scripted: each story defines its answer to each event.

use super::*;
use crate::{
    command::{
        AUTHORS_MESSAGE, Answer, Deliveries, EdgeCommand, Fault, Joining, LeaveReason, OutputRef, Player, RequestId,
        RoomCommand, RoomData, Target,
    },
    diff,
    effect::{Effect, Event, LogLevel, MemberInfo, SavedState},
    frame::{FrameTag, RoomFrame},
    ids::{ConnectionId, Digest, Kind, MachineId, RoomSecret, Seed},
    json::Json,
};

mod batches;
mod charges;
mod erasures;
mod faults;
mod frames;
mod kicks;
mod lobby;
mod messages;
mod reconnects;
mod replaced;
mod replay;
mod reports;
mod requests;
mod roles;
mod rooms;
mod seats;
mod swaps;
mod timers;
mod upgrades;
mod views;

const ROOM: RoomId = RoomId(10);
const ANA: SessionId = SessionId(0xa);
const BEA: SessionId = SessionId(0xb);
const CAI: SessionId = SessionId(0xc);
const DAN: SessionId = SessionId(0xd);
const EDGE: &str = "edge-1";
const FIRST: RequestId = RequestId { connection: ConnectionId(1), number: 1 };

type Script = Box<dyn FnMut(&Event) -> Result<Vec<Effect>, Fault>>;

/// A room, its log, and a guest that counts the messages it has answered: its saved state is that number.
struct Story {
    room: Room,
    script: Script,
    counted: u64,
    events: Vec<String>,
    /// The members that each instance was opened with.
    opened: Vec<String>,
    /// The fuel that each event was given.
    fuel: Vec<Option<u64>>,
    /// The calls that may have been made before.
    repeated: Vec<&'static str>,
    /// The session that each event was charged to.
    accounts: Vec<Option<SessionId>>,
    /// The fuel that each event burns.
    burns: u64,
    /// The number of records of each call of several.
    batches: Vec<usize>,
    /// Each call of several records fails as a whole.
    loses_batches: bool,
    log: Vec<(Offset, Record)>,
    next: Offset,
    now: Time,
    refuses_swaps: bool,
    overruns_swaps: bool,
    refuses_to_open: bool,
    spec: Arc<ComponentSpec>,
}

#[derive(Debug)]
struct Out {
    outputs: Vec<Output>,
}

impl Story {
    fn of(script: impl FnMut(&Event) -> Result<Vec<Effect>, Fault> + 'static) -> Story {
        let script = Box::new(script);
        let (room, now) = (Room::new(ROOM), Time(1_000_000));
        let (events, opened, log) = (vec![], vec![], vec![]);
        Story {
            room,
            script,
            counted: 0,
            events,
            opened,
            fuel: vec![],
            repeated: vec![],
            accounts: vec![],
            burns: 0,
            batches: vec![],
            loses_batches: false,
            log,
            next: 100,
            now,
            refuses_swaps: false,
            overruns_swaps: false,
            refuses_to_open: false,
            spec: spec(),
        }
    }

    fn of_the_lobby(script: impl FnMut(&Event) -> Result<Vec<Effect>, Fault> + 'static) -> Story {
        Story { room: Room::new(RoomId::LOBBY), ..Story::of(script) }
    }

    /// Sends messages that trap, until the room ends.
    fn trap(&mut self, session: SessionId) -> Out {
        let mut out = Out { outputs: vec![] };
        for _ in 0..3 {
            let (at, id) = (self.next, self.next);
            self.record(message_with(session, id, "trap"));
            out = self.record(fault_at(at));
        }
        out
    }

    /// The snapshot that the room outputs when one is requested.
    fn saved(&mut self) -> Vec<u8> {
        self.room.handle(Input::TakeSnapshot);
        let saved = self.turn().outputs.into_iter().find_map(|output| match output {
            Output::Snapshot { bytes, .. } => Some(bytes.to_vec()),
            _ => None,
        });
        saved.expect("there is something new")
    }

    /// The next timer is due, and fires.
    fn wait(&mut self) -> Out {
        let (due, id) = self.room.poll_timeout().expect("there is something to wait for");
        self.now = self.now.max(due);
        self.record(RoomCommand::Timer { id, name: None })
    }

    fn with_members(mut self, sessions: &[SessionId]) -> Story {
        self.record(create());
        for session in sessions {
            self.record(join(*session, 0));
        }
        self
    }

    fn record(&mut self, command: RoomCommand) -> Out {
        self.hand_over([command])
    }

    /// Hands over all of these records before the machine's outputs are carried out.
    fn hand_over(&mut self, commands: impl IntoIterator<Item = RoomCommand>) -> Out {
        for command in commands {
            let (offset, record) = self.log_only(command);
            self.room.handle(Input::Record(offset, record));
        }
        self.turn()
    }

    fn log_only(&mut self, command: RoomCommand) -> (Offset, Record) {
        let record = Record { room: self.room.id(), time: self.now, command };
        let offset = self.next;
        self.next += 3;
        self.log.push((offset, record.clone()));
        (offset, record)
    }

    fn replay(&mut self, log: &[(Offset, Record)]) {
        for (offset, record) in log {
            self.room.handle(Input::Record(*offset, record.clone()));
            self.turn();
        }
    }

    /// Carries out the machine's outputs until there are none.
    fn turn(&mut self) -> Out {
        let mut outputs = vec![];
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Guest(call) => {
                    let fuel = match &call {
                        Call::Handle(_) => self.burns,
                        Call::HandleAll(entries) => self.burns * entries.len() as u64,
                        _ => 0,
                    };
                    let outcome = self.answer(call);
                    self.room.handle(Input::Guest { outcome, fuel });
                }
                output => outputs.push(output),
            }
        }
        Out { outputs }
    }

    fn answer(&mut self, call: Call) -> Outcome {
        let saved = |counted: u64| SavedState { version: 1, state: Json::of(&counted) };
        match &call {
            Call::Open { repeats: true, .. } => self.repeated.push("open"),
            Call::Handle(Entry { repeats: true, .. }) => self.repeated.push("handle"),
            Call::HandleAll(entries) => {
                self.repeated.extend(entries.iter().filter(|entry| entry.repeats).map(|_| "handle"));
            }
            Call::Swap { repeats: true, .. } => self.repeated.push("swap"),
            _ => {}
        }
        match call {
            Call::Open { .. } if self.refuses_to_open => Outcome::Opened(Err(Fault::Trapped("at once".into()))),
            Call::Open { saved, info, .. } => {
                let away = |member: &MemberInfo| if member.connected { "" } else { " (away)" };
                let members = info.members.iter().map(|member| format!("{}{}", who(member.session), away(member)));
                self.opened.push(members.collect::<Vec<_>>().join(", "));
                self.counted = saved.map_or(0, |saved| saved.state.parse().unwrap());
                Outcome::Opened(Ok(self.spec.clone()))
            }
            Call::Handle(entry) => {
                let account = self.room.account().map(|account| account.session);
                Outcome::Called(self.handle(entry, account))
            }
            Call::HandleAll(entries) => {
                self.batches.push(entries.len());
                if self.loses_batches {
                    return Outcome::CalledAll(vec![]);
                }
                let accounts = self.room.accounts_of(&entries);
                let mut results = vec![];
                for (entry, account) in entries.into_iter().zip(accounts) {
                    results.push(self.handle(entry, account.map(|account| account.session)));
                    if results.last().is_some_and(Result::is_err) {
                        break;
                    }
                }
                Outcome::CalledAll(results)
            }
            Call::Save => Outcome::Saved(Ok(saved(self.counted))),
            Call::Swap { .. } if self.overruns_swaps => Outcome::Called(Err(Fault::TooMuch("time".into()))),
            Call::Swap { .. } if self.refuses_swaps => Outcome::Swapped(Err("cannot migrate".into())),
            Call::Swap { .. } => Outcome::Swapped(Ok(SwappedTo {
                before: saved(self.counted),
                spec: self.spec.clone(),
                effects: vec![],
            })),
        }
    }

    fn handle(&mut self, Entry { event, fuel, .. }: Entry, account: Option<SessionId>) -> Result<Vec<Effect>, Fault> {
        self.events.push(name(&event));
        self.fuel.push(fuel);
        self.accounts.push(account);
        let result = (self.script)(&event);
        self.counted += u64::from(matches!((&event, &result), (Event::Message { .. }, Ok(_))));
        result
    }

    /// Hibernates the room: only its snapshot is left.
    fn hibernate(&mut self) {
        self.room.handle(Input::TakeSnapshot);
        let out = self.turn();
        let snapshot = out.outputs.iter().find_map(|output| match output {
            Output::Snapshot { bytes, .. } => Some(bytes.clone()),
            _ => None,
        });
        let snapshot = snapshot.expect("there is something new");
        self.room = Room::restore(self.room.id(), &snapshot, RestoreReason::Woken).unwrap();
    }

    fn guest_state(&mut self) -> String {
        self.counted.to_string()
    }

    fn seq_of(&self, session: SessionId) -> u64 {
        self.room.state().unwrap().members[&session].out_seq
    }
}

impl Out {
    fn to_edge(&self) -> Vec<String> {
        let commands = self.outputs.iter().filter_map(|output| match output {
            Output::Edge(_, command) => Some(command),
            _ => None,
        });
        commands.flat_map(describe).collect()
    }

    fn restart(&self) -> Option<(Option<String>, u64)> {
        self.outputs.iter().find_map(|output| match output {
            Output::Notice(Notice::RestartScheduled { failed, in_ms }) => {
                Some((failed.as_deref().map(str::to_owned), *in_ms))
            }
            _ => None,
        })
    }

    fn frames(&self) -> Vec<(u64, &RoomFrame)> {
        let commands = self.outputs.iter().filter_map(|output| match output {
            Output::Edge(_, EdgeCommand::Deliver(deliveries)) => Some(deliveries),
            _ => None,
        });
        commands.flat_map(Deliveries::iter).map(|(target, frame)| (target.seq, frame)).collect()
    }

    fn tags(&self) -> Vec<FrameTag> {
        self.frames().iter().map(|(_, frame)| frame.tag()).collect()
    }

    fn frame_text(&self, n: usize) -> String {
        let (seq, frame) = self.frames()[n];
        frame.with_seq(seq)
    }
}

fn describe(command: &EdgeCommand) -> Vec<String> {
    match command {
        EdgeCommand::Deliver(deliveries) => {
            let name = |(Target { session, seq, .. }, frame): (Target, &RoomFrame)| {
                format!("{} {seq} {}", who(session), format!("{:?}", frame.tag()).to_lowercase())
            };
            deliveries.iter().map(name).collect()
        }
        EdgeCommand::Move { session, .. } => vec![format!("move {}", who(*session))],
        EdgeCommand::Left { session, .. } => vec![format!("leave {}", who(*session))],
        EdgeCommand::Kick { session, .. } => vec![format!("kick {}", who(*session))],
        EdgeCommand::Replaced { session } => vec![format!("replaced {}", who(*session))],
        EdgeCommand::Admitted { session, .. } => vec![format!("admitted {}", who(*session))],
        EdgeCommand::Refused { session, reason, .. } => vec![format!("refused {}: {reason}", who(*session))],
        EdgeCommand::Spent { session, .. } => vec![format!("spent {}", who(*session))],
        EdgeCommand::Resumed { session, applied, .. } => vec![format!("resumed {} {applied}", who(*session))],
        EdgeCommand::End(ending) => vec![format!("end {:?}", ending.of)],
    }
}

fn name(event: &Event) -> String {
    match event {
        Event::Create { .. } => "create".into(),
        Event::Join { member, .. } => format!("join {}", who(member.session)),
        Event::Drop { session } => format!("drop {}", who(*session)),
        Event::Reconnect { session } => format!("reconnect {}", who(*session)),
        Event::Leave { session, reason } => format!("leave {} {reason:?}", who(*session)),
        Event::Message { session, .. } => format!("message {}", who(*session)),
        Event::Timer { name, .. } => format!("timer {name}"),
        Event::RoomMessage { .. } => "room-message".into(),
        Event::RoomEnd { .. } => "room-end".into(),
        Event::MoveFailed { session, .. } => format!("move-failed {}", who(*session)),
        Event::Dispose { .. } => "dispose".into(),
        Event::Identify { session, was, .. } => format!("identify {} {was}", who(*session)),
        Event::Answer { handler, result, .. } => match result {
            Ok(result) => format!("answer {handler} {}", &**result),
            Err(error) => format!("answer {handler} failed: {error}"),
        },
        Event::Erase { player } => format!("erase {player}"),
    }
}

fn who(session: SessionId) -> &'static str {
    if session == ANA { "ana" } else { "bea" }
}

fn greeter() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Create { .. } => Ok(vec![Effect::View { view: Json::trusted(r#"{"n":1}"#) }]),
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }, broadcast("hello")]),
        _ => Ok(vec![]),
    }
}

fn seats_who_may_play() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Join { member, .. } => Ok(vec![Effect::Admit { spectator: member.spectator }]),
        _ => Ok(vec![]),
    }
}

fn chatter() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Message { session, .. } => {
            Ok(vec![Effect::Broadcast { msg_type: "chat".into(), data: Json::null(), except: vec![*session] }])
        }
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
        _ => Ok(vec![]),
    }
}

fn counter() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Join { .. } => Ok(vec![Effect::Admit { spectator: false }]),
        Event::Message { data, .. } if data.contains("throw") => Err(Fault::Threw("on purpose".into())),
        Event::Message { data, .. } if data.contains("trap") => Err(trapped()),
        Event::Message { data, .. } if data.contains("burn") => Err(Fault::OutOfFuel(1)),
        _ => Ok(vec![]),
    }
}

fn broadcast(msg_type: &str) -> Effect {
    Effect::Broadcast { msg_type: msg_type.into(), data: Json::null(), except: vec![] }
}

fn set_timer(name: &str, after_ms: u64) -> Effect {
    Effect::SetTimer { name: name.into(), after_ms, payload: Json::null() }
}

fn spec() -> Arc<ComponentSpec> {
    Arc::new(ComponentSpec {
        state_version: 1,
        max_players: 2,
        sessions_per_player: 0,
        hold_ms: 30_000,
        keep_when_empty: false,
        empty_ms: 10_000,
        max_faults: 3,
        fuel_per_message: 1_000_000,
        max_rooms: 4,
        max_timers: 4,
        messages: ["say".into()].into(),
        shows_failures: false,
        timers: ["turn".into()].into(),
        answers: ["tables".into()].into(),
    })
}

fn create() -> RoomCommand {
    let creator = Some(OutputRef { room: RoomId(77), number: OutputId { offset: 1, index: 0 } });
    RoomCommand::Create {
        kind: Kind::lobby(),
        component: Digest([1; 32]),
        options: Json::null(),
        creator,
        secret: RoomSecret(7),
        allowance: 16,
    }
}

fn join(session: SessionId, message_id: u64) -> RoomCommand {
    let player = Player { id: who(session).into(), name: who(session).into() };
    let edge = MachineId(EDGE.into());
    RoomCommand::Join(Joining {
        session,
        player,
        claims: None,
        edge,
        request: FIRST,
        message_id,
        options: Json::null(),
        from: None,
    })
}

fn message(session: SessionId, message_id: u64) -> RoomCommand {
    message_with(session, message_id, "hello")
}

fn message_with(session: SessionId, message_id: u64, what: &str) -> RoomCommand {
    RoomCommand::Message { session, message_id, msg_type: "say".into(), data: Json::of(&what) }
}

fn drop_of(session: SessionId, edge: &str) -> RoomCommand {
    RoomCommand::Drop { session, edge: MachineId(edge.into()), code: 1006 }
}

fn reconnect(session: SessionId, edge: &str, last_seq: Option<u64>) -> RoomCommand {
    RoomCommand::Reconnect { session, edge: MachineId(edge.into()), request: FIRST, last_seq }
}

fn leave(session: SessionId) -> RoomCommand {
    RoomCommand::Leave { session, reason: LeaveReason::Left }
}

fn fault_at(offset: Offset) -> RoomCommand {
    RoomCommand::Fault { at: OutputId { offset, index: 0 }, fault: trapped() }
}

fn trapped() -> Fault {
    Fault::Trapped("unreachable".into())
}

fn swap(component: u8) -> RoomCommand {
    RoomCommand::Swap { component: Digest([component; 32]), rollout: None }
}
