//! Any commands of a channel, and the machine of their room, with a guest that answers everything.

use std::sync::Arc;

use crate::{
    command::{Fault, Record, RoomCommand},
    effect::{Effect, Event, SavedState},
    ids::{Offset, RoomId, Time},
    json::Json,
    room::{Call, ComponentSpec, Entry, Input, Outcome, Output, Room, State, SwappedTo},
    wire,
};

const ROOM: RoomId = RoomId(3);

/// Further records are not read.
const MAX_RECORDS: u64 = 256;

/// Commands one after the other, each its time and its fields as in a record. The state at the end is the one in its snapshot.
pub fn room(bytes: &[u8]) {
    let (mut room, mut next) = (Room::new(ROOM), 0);
    let mut rest = bytes;
    while let Ok(((time, command), used)) = wire::read_part::<(Time, RoomCommand)>(rest)
        && next < MAX_RECORDS
    {
        rest = &rest[used..];
        append(&mut room, &mut next, Record { room: ROOM, time, command });
    }
    room.handle(Input::TakeSnapshot);
    let outputs = run(&mut room, &mut next);
    for output in outputs {
        if let Output::Snapshot { bytes, .. } = output
            && let Some(state) = room.state()
        {
            assert_eq!(State::decode(&bytes).as_ref(), Ok(state));
        }
    }
}

fn append(room: &mut Room, next: &mut Offset, record: Record) {
    room.handle(Input::Record(*next, record));
    *next += 1;
    run(room, next);
}

/// Carries out the outputs until there is none, and returns the others.
fn run(room: &mut Room, next: &mut Offset) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(output) = room.poll_output() {
        match output {
            Output::Guest(call) => room.handle(Input::Guest { outcome: outcome(call), fuel: 1_000 }),
            Output::Append(to, command @ RoomCommand::Fault { .. }) if to == ROOM => {
                room.handle(Input::Record(*next, Record { room: ROOM, time: Time(0), command }));
                *next += 1;
            }
            other => outputs.push(other),
        }
        assert!(outputs.len() < 100_000, "the machine never rests");
    }
    outputs
}

fn outcome(call: Call) -> Outcome {
    match call {
        Call::Open { .. } => Outcome::Opened(Ok(spec())),
        Call::Handle(entry) => Outcome::Called(effects(&entry)),
        Call::HandleAll(entries) => {
            let mut results = Vec::new();
            for entry in &entries {
                results.push(effects(entry));
                if results.last().is_some_and(Result::is_err) {
                    break;
                }
            }
            Outcome::CalledAll(results)
        }
        Call::Save => Outcome::Saved(Ok(saved())),
        Call::Swap { .. } => Outcome::Swapped(Ok(SwappedTo { before: saved(), spec: spec(), effects: vec![] })),
    }
}

/// A message's type chooses what the script does.
fn effects(entry: &Entry) -> Result<Vec<Effect>, Fault> {
    let null = Json::null;
    Ok(match &entry.event {
        Event::Join { .. } => vec![Effect::Admit { spectator: entry.offset % 3 == 2 }, Effect::View { view: null() }],
        Event::Message { msg_type, data, .. } => {
            let done = match &**msg_type {
                "trap" => return Err(Fault::Trapped("a test".into())),
                "throw" => return Err(Fault::Threw("a test".into())),
                "fuel" => return Err(Fault::OutOfFuel(1)),
                "all" => Effect::Broadcast { msg_type: "m".into(), data: data.clone(), except: vec![] },
                "lock" => Effect::Lock,
                "timer" => Effect::SetTimer { name: "turn".into(), after_ms: u64::MAX, payload: null() },
                "end" => Effect::End { outcome: data.clone() },
                _ => Effect::View { view: data.clone() },
            };
            vec![done, Effect::Reply { data: null() }]
        }
        _ => vec![],
    })
}

fn saved() -> SavedState {
    SavedState { version: 1, state: Json::null() }
}

fn spec() -> Arc<ComponentSpec> {
    Arc::new(ComponentSpec {
        state_version: 1,
        max_players: 2,
        sessions_per_player: 1,
        hold_ms: 60_000,
        keep_when_empty: false,
        empty_ms: 60_000,
        max_faults: 3,
        fuel_per_message: 1_000_000,
        max_rooms: 4,
        max_timers: 4,
        messages: ["trap", "throw", "fuel", "all", "lock", "timer", "end", "move"].map(Into::into).into(),
        timers: ["turn".into()].into(),
        answers: ["tables".into()].into(),
        shows_failures: false,
    })
}
