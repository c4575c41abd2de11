//! A copy of a room, made from its snapshot and its log, whose outputs reach nobody.
//!
//! It is what another host would have: the same machine, the same script, the same records. It appends nothing: what the room
//! itself decides to append (a fault, an end) is in the log because a host appends it, and is read there. Like the audit's pass, it
//! treats every record as applied before, so an exhausted budget is what the log says it is.
//!
//! The log may be cut between the reading of the snapshot and that of the log: then there is a later snapshot, and the copy
//! begins with that.
//!
//! Bounds: one instance of the script; the records since the snapshot, which hosts bound (`chorus_core::room::TAIL_RECORDS`).

use std::{sync::Arc, time::Duration};

use chorus_bus::{BoundsError, Bus, ReadError, Reader};
use chorus_core::{
    command::{Record, RoomCommand},
    effect::RestoreReason,
    ids::{Digest, Offset, RoomId},
    room::{BadSnapshot, Call, Input, Output, Room},
};
use chorus_host::{
    Components,
    guest::{CannotLoad, Component, Resources, Runner, Unavailable},
};
use chorus_store::{RoomStatus, Store, StoreError};

use super::shown::{self, Outputs};

/// How often a call that this process could not run is tried again, and after how long.
const TRIES: u32 = 20;
const RETRY: Duration = Duration::from_millis(100);

/// How often the log may be cut ahead of a copy while it begins.
const BEGINNINGS: u32 = 5;

/// How long the last records before the end are waited for: offsets may have gaps, even at the end.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Why there is no copy of a room.
#[derive(Debug, thiserror::Error)]
pub enum CannotCopy {
    #[error("there is no such room, or it has ended")]
    NoRoom,
    #[error(transparent)]
    Snapshot(#[from] BadSnapshot),
    #[error("its script cannot be run here: {0}")]
    Script(#[from] Unavailable),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Bounds(#[from] BoundsError),
}

/// A copy of a room.
pub struct Replica {
    room: Room,
    runner: Runner<Loaded>,
    components: Arc<Components>,
    reader: Reader,
    /// Outputs are placed in the files of this component's author.
    component: Option<Digest>,
    /// Failures of this process since the last call that it ran.
    failed: u32,
}

impl Replica {
    /// The copy after the records in the log, and those of the room that are in no snapshot, which are to be applied next.
    pub async fn begin(
        bus: &Bus,
        store: &Store,
        components: Components,
        id: RoomId,
    ) -> Result<(Replica, Vec<(Offset, Record)>), CannotCopy> {
        let components = Arc::new(components);
        for _ in 1..BEGINNINGS {
            match Replica::try_begin(bus, store, &components, id).await {
                Err(CannotCopy::Log(ReadError::Gone { .. })) => {}
                result => return result,
            }
        }
        Replica::try_begin(bus, store, &components, id).await
    }

    async fn try_begin(
        bus: &Bus,
        store: &Store,
        components: &Arc<Components>,
        id: RoomId,
    ) -> Result<(Replica, Vec<(Offset, Record)>), CannotCopy> {
        let partition = id.partition(bus.partitions());
        let (room, from) = match store.snapshot(id).await? {
            Some(snapshot) => (Room::restore(id, &snapshot.state, RestoreReason::Recovered)?, snapshot.offset + 1),
            None if store.room(id).await?.is_some_and(|row| row.status != RoomStatus::Live) => {
                return Err(CannotCopy::NoRoom);
            }
            // Its records begin with its creation.
            None => (Room::new(id), bus.start(partition).await?),
        };
        let mut reader = bus.read(partition, from);
        let tail = read_to_the_end(bus, partition, from, id, &mut reader).await?;
        let runner = Runner::new(Loaded(components.clone()), id);
        let component = room.state().map(|state| state.component);
        let mut replica = Replica { room, runner, components: components.clone(), reader, component, failed: 0 };
        replica.room.handle(Input::Inherited(Offset::MAX));
        replica.prepare(&tail);
        let creates = |(_, record): &(Offset, Record)| matches!(record.command, RoomCommand::Create { .. });
        match replica.room.state().is_some() || tail.iter().any(creates) {
            true => Ok((replica, tail)),
            false => Err(CannotCopy::NoRoom),
        }
    }

    /// The next records of the room, at least one. Cancel safe.
    pub async fn next(&mut self) -> Result<Vec<(Offset, Record)>, CannotCopy> {
        let id = self.room.id();
        loop {
            let mut records = Vec::new();
            self.reader.next(&mut records).await?;
            records.retain(|(_, record)| record.room == id);
            if !records.is_empty() {
                self.prepare(&records);
                return Ok(records);
            }
        }
    }

    /// Before these records are applied: a fault that the log decides takes effect at the record that it is about.
    fn prepare(&mut self, records: &[(Offset, Record)]) {
        for (_, record) in records {
            if let RoomCommand::Fault { at, fault } = &record.command {
                self.room.handle(Input::FaultDecided { offset: at.offset, fault: fault.clone() });
            }
        }
    }

    /// Applies one record. Returns what the room did.
    pub async fn apply(&mut self, offset: Offset, record: &Record) -> Result<Outputs, CannotCopy> {
        let mut outputs = Outputs::default();
        let is_swap = matches!(record.command, RoomCommand::Swap { .. });
        self.room.handle(Input::Record(offset, record.clone()));
        self.carry_out(Some((offset, record)), &mut outputs).await?;
        self.component = self.component();
        if is_swap {
            // An author swaps a component with every change, and this room needs the last.
            self.components.prune(|_| false);
        }
        Ok(outputs)
    }

    /// The room's state and its views as JSON; `None` of a room that has ended.
    pub async fn state(&mut self) -> Result<Option<String>, CannotCopy> {
        self.room.handle(Input::TakeSnapshot);
        self.carry_out(None, &mut Outputs::default()).await?;
        let waits = !self.room.is_idle();
        Ok(self.room.state().map(|state| shown::state(state, waits)))
    }

    /// The component that the room runs, or ran last.
    fn component(&self) -> Option<Digest> {
        self.room.state().map(|state| state.component).or(self.component)
    }

    async fn carry_out(&mut self, record: Option<(Offset, &Record)>, outputs: &mut Outputs) -> Result<(), CannotCopy> {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Guest(call) => self.call(call, outputs).await?,
                Output::Snapshot { .. } => {
                    if self.runner.drop_overgrown() {
                        self.room.handle(Input::InstanceLost);
                    }
                }
                Output::Notice(notice) => {
                    let component = source_map(&self.components, self.component()).await;
                    outputs.notice(&notice, |text| readable(component.as_ref(), text));
                }
                Output::Log { level, text } => {
                    let component = source_map(&self.components, self.component()).await;
                    outputs.log(level, &readable(component.as_ref(), &text));
                }
                output => {
                    if let Some((offset, record)) = record {
                        outputs.add(offset, record.time, &output);
                    }
                }
            }
        }
        Ok(())
    }

    async fn call(&mut self, call: Call, outputs: &mut Outputs) -> Result<(), CannotCopy> {
        let outcome = self.runner.run(call).await;
        for effect in self.runner.take_report().failed_log.into_iter().flatten() {
            outputs.log_before_failure(&effect);
        }
        match outcome {
            Ok(outcome) => {
                self.failed = 0;
                self.room.handle(Input::Guest { outcome, fuel: 0 });
                Ok(())
            }
            // The machine opens another instance, and makes the call again.
            Err(Unavailable::Resource(_) | Unavailable::NoInstance) if self.failed < TRIES => {
                self.failed += 1;
                tokio::time::sleep(RETRY).await;
                self.room.handle(Input::InstanceLost);
                Ok(())
            }
            Err(cause) => Err(cause.into()),
        }
    }
}

/// What inserts the places in the author's files into texts of this component.
async fn source_map(components: &Components, component: Option<Digest>) -> Option<Component> {
    components.load(component?).await.ok()
}

fn readable(component: Option<&Component>, text: &str) -> String {
    component.map_or_else(|| text.to_owned(), |component| component.source_map().readable(text).into_owned())
}

async fn read_to_the_end(
    bus: &Bus,
    partition: u32,
    from: Offset,
    id: RoomId,
    reader: &mut Reader,
) -> Result<Vec<(Offset, Record)>, CannotCopy> {
    let end = bus.end(partition).await?;
    let (mut next, mut tail) = (from, Vec::new());
    while next < end {
        let mut records = Vec::new();
        match tokio::time::timeout(LAST_WAIT, reader.next(&mut records)).await {
            Ok(read) => read?,
            Err(_) => break,
        }
        next = records.last().map_or(next, |(offset, _)| offset + 1);
        tail.extend(records.into_iter().filter(|(_, record)| record.room == id));
    }
    Ok(tail)
}

#[derive(Debug)]
struct Loaded(Arc<Components>);

impl Resources for Loaded {
    async fn load(&self, component: Digest) -> Result<Component, CannotLoad> {
        self.0.load(component).await
    }

    /// [`Replica`] tries again, with the machine.
    async fn retry(&self, _: RoomId, _: &Unavailable) -> bool {
        false
    }
}
