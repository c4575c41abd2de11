//! A room and its guest, and nothing else: the machine decides, a real instance answers, and the outputs are inspected.

use std::{collections::HashMap, sync::Arc};

use chorus_core::{
    command::{EdgeCommand, Fault, Record, RoomCommand},
    effect::{LogLevel, RestoreReason},
    frame::{FrameTag, RoomFrame},
    ids::{Digest, MachineId, Offset, RoomId, SessionId, Time},
    room::{Call, Input, Notice, Outcome, Output, Room},
};
use chorus_host::guest::{CannotLoad, Component, Resources, Runner, Unavailable};
use serde_json::{Value, json};

use super::{create, guests, join, kind, machine, message};

pub const ROOM: RoomId = RoomId(0x70);

pub struct Stage {
    pub room: Room,
    pub runner: Runner<Loaded>,
    /// The records that the room was given, or appended for itself.
    pub log: Vec<(Offset, Record)>,
    next: Offset,
    pub now: Time,
    ids: u64,
    /// The fuel that the latest call has burnt.
    pub fuel: u64,
    /// Instances opened so far.
    pub opened: Vec<Option<RestoreReason>>,
    /// Calls of a guest for records.
    pub calls: usize,
}

impl Stage {
    /// An empty stage for `kind`'s rooms. Its component is loaded, and so are those of `others`.
    pub async fn of(kind: &str, others: &[&str]) -> Stage {
        let mut components = HashMap::new();
        for kind in [&[kind], others].concat() {
            let component = guests::component(kind).await;
            components.insert(component.digest(), component);
        }
        Stage {
            room: Room::new(ROOM),
            runner: Runner::new(Loaded { components, shares: false }, ROOM),
            log: vec![],
            next: 1000,
            now: Time(1_700_000_000_000),
            ids: 0,
            fuel: 0,
            opened: vec![],
            calls: 0,
        }
    }

    /// A room of `kind` with these members, which shares its instance with the other stages that are made so.
    pub async fn sharing(kind: &str, members: &[SessionId]) -> Stage {
        let mut stage = Stage::of(kind, &[]).await;
        let component = guests::component(kind).await;
        let components = HashMap::from([(component.digest(), component)]);
        stage.runner = Runner::new(Loaded { components, shares: true }, ROOM);
        stage.begin(kind, json!({}), members).await;
        stage
    }

    /// A room of `kind` with these members.
    pub async fn with(kind: &str, options: Value, members: &[SessionId]) -> Stage {
        let mut stage = Stage::of(kind, &[]).await;
        stage.begin(kind, options, members).await;
        stage
    }

    async fn begin(&mut self, kind: &str, options: Value, members: &[SessionId]) {
        self.create(kind, options).await;
        for member in members {
            self.record(join(*member, &edge(), 0)).await;
        }
    }

    pub async fn create(&mut self, name: &str, options: Value) -> Out {
        let component = guests::component(name).await.digest();
        self.record(create(kind(name), component, &options)).await
    }

    pub async fn send(&mut self, session: SessionId, msg_type: &str, data: Value) -> Out {
        self.ids += 1;
        self.record(message(session, self.ids, msg_type, &data)).await
    }

    /// Appends a record, and the records that the room appends for itself because of it; applies them all.
    pub async fn record(&mut self, command: RoomCommand) -> Out {
        self.now = self.now.plus(10);
        let mut out = Out::default();
        let mut commands = vec![command];
        while let Some(command) = commands.pop() {
            let record = Record { room: self.room.id(), time: self.now, command };
            let offset = self.next;
            self.next += 2;
            self.log.push((offset, record.clone()));
            self.room.handle(Input::Record(offset, record));
            for output in self.carry_out().await {
                if let Output::Append(room, command) = &output
                    && *room == self.room.id()
                {
                    commands.insert(0, command.clone());
                }
                out.0.push(output);
            }
        }
        out
    }

    pub fn record_of(&self, command: RoomCommand) -> Record {
        Record { room: self.room.id(), time: self.now, command }
    }

    /// Gives the machine records of a log, all before any is applied, as a host does.
    pub async fn replay(&mut self, log: &[(Offset, Record)]) -> Out {
        for (offset, record) in log {
            self.room.handle(Input::Record(*offset, record.clone()));
        }
        Out(self.carry_out().await)
    }

    /// The snapshot that the room would be restored from.
    pub async fn snapshot(&mut self) -> Option<Arc<[u8]>> {
        self.room.handle(Input::TakeSnapshot);
        let out = self.carry_out().await;
        out.into_iter().find_map(|output| match output {
            Output::Snapshot { bytes, .. } => Some(bytes),
            _ => None,
        })
    }

    /// The state that the script would save now, as the script writes it.
    pub async fn saved(&mut self) -> Value {
        let state = match self.runner.run(Call::Save).await {
            Ok(Outcome::Saved(saved)) => saved.expect("it can be saved").state,
            // Nothing was called since the last snapshot.
            Err(Unavailable::NoInstance) => {
                self.room.state().and_then(|state| state.saved.clone()).expect("it was saved").state
            }
            other => panic!("a save has no other result: {other:?}"),
        };
        serde_json::from_str(&state).unwrap()
    }

    /// Carries out the machine's outputs until there are none.
    pub async fn carry_out(&mut self) -> Vec<Output> {
        let mut outputs = vec![];
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Guest(call) => {
                    let input = match self.answer(call).await {
                        Some(outcome) => Input::Guest { outcome, fuel: 0 },
                        None => Input::InstanceLost,
                    };
                    self.room.handle(input);
                }
                output => outputs.push(output),
            }
        }
        outputs
    }

    /// None: another room that shares the instance has ended it, or this call has.
    async fn answer(&mut self, call: Call) -> Option<Outcome> {
        match &call {
            Call::Open { info, .. } | Call::Swap { info, .. } => self.opened.push(info.restored),
            Call::Handle(_) | Call::HandleAll(_) => self.calls += 1,
            Call::Save => {}
        }
        let outcome = self.runner.run(call).await;
        self.fuel = self.runner.take_report().fuel.unwrap_or(self.fuel);
        match outcome {
            Ok(outcome) => Some(outcome),
            Err(Unavailable::Cell) => None,
            Err(cause) => panic!("the guest did not cause it: {cause}"),
        }
    }
}

/// The components of a stage.
#[derive(Debug)]
pub struct Loaded {
    components: HashMap<Digest, Component>,
    shares: bool,
}

impl Resources for Loaded {
    async fn load(&self, component: Digest) -> Result<Component, CannotLoad> {
        Ok(self.components.get(&component).expect("the stage has it").clone())
    }

    async fn retry(&self, _: RoomId, _: &Unavailable) -> bool {
        false
    }

    fn shares_instances(&self) -> bool {
        self.shares
    }
}

pub fn edge() -> MachineId {
    machine("stage")
}

/// The outputs that left the room.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Out(pub Vec<Output>);

impl Out {
    fn deliveries(&self) -> impl Iterator<Item = (SessionId, u64, &RoomFrame)> {
        self.0.iter().flat_map(|output| match output {
            Output::Edge(_, EdgeCommand::Deliver(deliveries)) => {
                deliveries.iter().map(|(target, frame)| (target.session, target.seq, frame)).collect()
            }
            _ => vec![],
        })
    }

    fn frames(&self, wanted: FrameTag) -> Vec<Value> {
        let frames = self.deliveries().filter(|(_, _, frame)| frame.tag() == wanted);
        frames.map(|(_, seq, frame)| serde_json::from_str(&frame.with_seq(seq)).unwrap()).collect()
    }

    /// The one reply.
    pub fn reply(&self) -> Value {
        let replies = self.frames(FrameTag::Reply);
        assert_eq!(replies.len(), 1, "one message, one answer: {self:?}");
        replies[0]["data"].clone()
    }

    /// The code and the text of the one error.
    pub fn error(&self) -> (String, String) {
        let errors = self.frames(FrameTag::Error);
        assert_eq!(errors.len(), 1, "one message, one answer: {self:?}");
        let text = |key: &str| errors[0][key].as_str().unwrap().to_owned();
        (text("code"), text("message"))
    }

    /// The sort of each frame, and the session that it was sent to.
    pub fn tags(&self) -> Vec<(SessionId, FrameTag)> {
        self.deliveries().map(|(session, _, frame)| (session, frame.tag())).collect()
    }

    /// The types and data of events.
    pub fn events(&self) -> Vec<(String, Value)> {
        let events = self.frames(FrameTag::Event);
        events.into_iter().map(|event| (event["type"].as_str().unwrap().to_owned(), event["data"].clone())).collect()
    }

    /// The reasons in the `left` frames of members.
    pub fn left(&self) -> Vec<String> {
        self.frames(FrameTag::Left).iter().map(|frame| frame["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// The fault that was appended to the log.
    pub fn fault(&self) -> Option<Fault> {
        self.0.iter().find_map(|output| match output {
            Output::Append(_, RoomCommand::Fault { fault, .. }) => Some(fault.clone()),
            _ => None,
        })
    }

    /// The throw that was reported to the author.
    pub fn threw(&self) -> Option<String> {
        self.0.iter().find_map(|output| match output {
            Output::Notice(Notice::Threw { text, .. }) => Some(text.to_string()),
            _ => None,
        })
    }

    /// Why the room has failed, if it has.
    pub fn failed(&self) -> Option<String> {
        self.0.iter().find_map(|output| match output {
            Output::Ended { failed, .. } => failed.as_deref().map(str::to_owned),
            _ => None,
        })
    }

    pub fn logs(&self) -> Vec<(LogLevel, String)> {
        let logs = self.0.iter().filter_map(|output| match output {
            Output::Log { level, text } => Some((*level, text.to_string())),
            _ => None,
        });
        logs.collect()
    }

    /// The outputs that another party receives: a repetition must be the same. A replay that has read a fault does not
    /// append it again, and a kick is repeated until its record is in the log.
    pub fn external(self) -> Vec<Output> {
        let private = |output: &Output| {
            let asks = matches!(output, Output::Append(_, RoomCommand::Fault { .. } | RoomCommand::Threw { .. }));
            asks || matches!(
                output,
                Output::Snapshot { .. }
                    | Output::Log { .. }
                    | Output::Notice(_)
                    | Output::Guest(_)
                    | Output::Kick { .. }
                    | Output::Perform { .. }
            )
        };
        self.0.into_iter().filter(|output| !private(output)).collect()
    }
}
