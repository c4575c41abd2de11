//! The store: rooms, sessions, machines and partitions. It never fails, and its answers take no time of their own.

use std::{collections::BTreeMap, sync::Arc};

use chorus_core::{
    edge::StoredSession,
    hosting::{Found, Save},
    ids::{Digest, Kind, MachineId, Offset, OutputId, RoomId, SessionId, Time},
    placement::{Assignment, Machine, MachineState, Partition, Role, View},
    room::Report,
};

pub(crate) struct Store {
    pub rooms: BTreeMap<RoomId, StoredRoom>,
    pub sessions: BTreeMap<SessionId, StoredSession<u64>>,
    /// The sessions that are disconnected, and since when.
    disconnected: BTreeMap<SessionId, Time>,
    /// The active component of each kind.
    pub active: BTreeMap<Kind, Digest>,
    machines: BTreeMap<MachineId, MachineRow>,
    pub partitions: Vec<Partition>,
    /// What rooms have reported to operators.
    pub reports: BTreeMap<(RoomId, OutputId), Report>,
    lease: Option<(MachineId, Time)>,
}

pub(crate) struct StoredRoom {
    pub offset: Offset,
    pub kind: Kind,
    pub component: Digest,
    pub next_timer: Option<Time>,
    pub clock: Time,
    pub ended: bool,
    snapshot: Option<Arc<[u8]>>,
}

struct MachineRow {
    role: Role,
    state: MachineState,
    registered: Time,
    heartbeat: Time,
}

/// Two snapshots of one room at one offset that differ.
pub(crate) struct Diverged;

impl Store {
    pub fn new(partitions: u32) -> Store {
        let row = |partition| Partition { partition, host: None, epoch: 0, checkpoint: 0 };
        Store {
            rooms: BTreeMap::new(),
            sessions: BTreeMap::new(),
            disconnected: BTreeMap::new(),
            active: BTreeMap::new(),
            machines: BTreeMap::new(),
            partitions: (0..partitions).map(row).collect(),
            reports: BTreeMap::new(),
            lease: None,
        }
    }

    // ---- rooms ----

    pub fn found(&self, room: RoomId) -> Found<'_> {
        match self.rooms.get(&room) {
            Some(StoredRoom { ended: true, .. }) => Found::Ended,
            Some(StoredRoom { snapshot: Some(bytes), .. }) => Found::Snapshot(bytes),
            _ => Found::Nothing,
        }
    }

    /// The last record that the stored state of this room includes.
    pub fn offset(&self, room: RoomId) -> Offset {
        self.rooms.get(&room).map_or(0, |stored| stored.offset)
    }

    /// A newer update replaces an older one, and never the other way round.
    pub fn save(&mut self, save: Save) -> Result<(), Diverged> {
        let Save { offset, summary, snapshot, ended } = save;
        let stored = self.rooms.get(&summary.id);
        if let Some(stored) = stored.filter(|stored| stored.offset >= offset || stored.ended) {
            let differs = stored.offset == offset && stored.snapshot.is_some() && stored.snapshot != snapshot;
            return if differs && ended.is_none() { Err(Diverged) } else { Ok(()) };
        }
        let (id, ended) = (summary.id, ended.is_some());
        let (kind, component, next_timer, clock) = (summary.kind, summary.component, summary.next_timer, summary.clock);
        self.rooms.insert(id, StoredRoom { offset, kind, component, next_timer, clock, ended, snapshot });
        Ok(())
    }

    // ---- sessions ----

    /// Sessions that were disconnected for longer than this, and their rooms.
    pub fn expired(&mut self, after_ms: u64, now: Time) -> Vec<(SessionId, Vec<RoomId>)> {
        self.disconnected.retain(|session, _| self.sessions.get(session).is_some_and(|row| !row.is_connected()));
        for (session, _) in self.sessions.iter().filter(|(_, row)| !row.is_connected()) {
            self.disconnected.entry(*session).or_insert(now);
        }
        let expired = self.disconnected.iter().filter(|(_, since)| now.since(**since) > after_ms);
        expired.map(|(session, _)| (*session, self.sessions[session].rooms().to_vec())).collect()
    }

    // ---- machines ----

    pub fn register(&mut self, id: MachineId, role: Role, now: Time) {
        self.machines.insert(id, MachineRow { role, state: MachineState::Alive, registered: now, heartbeat: now });
    }

    /// Returns the machine's state. A machine without a row was declared dead, and cleaned up.
    pub fn heartbeat(&mut self, id: &MachineId, now: Time) -> MachineState {
        self.machines.get_mut(id).map_or(MachineState::Dead, |row| {
            row.heartbeat = now;
            row.state
        })
    }

    pub fn drain(&mut self, id: &MachineId) {
        if let Some(row) = self.machines.get_mut(id).filter(|row| row.state == MachineState::Alive) {
            row.state = MachineState::Draining;
        }
    }

    pub fn close(&mut self, id: &MachineId) {
        self.machines.remove(id);
    }

    /// `false`: the machine has sent a heartbeat meanwhile.
    pub fn declare_dead(&mut self, id: &MachineId, limit_ms: u64, now: Time) -> bool {
        let Some(row) = self.machines.get_mut(id) else { return true };
        if row.state != MachineState::Dead && now.since(row.heartbeat) <= limit_ms {
            return false;
        }
        row.state = MachineState::Dead;
        true
    }

    // ---- monitors ----

    pub fn acquire_lease(&mut self, monitor: &MachineId, ms: u64, now: Time) -> bool {
        let free = self.lease.as_ref().is_none_or(|(holder, until)| holder == monitor || *until <= now);
        if free {
            self.lease = Some((monitor.clone(), now.plus(ms)));
        }
        free
    }

    pub fn view(&self, now: Time) -> View {
        let machine = |(id, row): (&MachineId, &MachineRow)| {
            let (silent_ms, age_ms) = (now.since(row.heartbeat), now.since(row.registered));
            Machine { id: id.clone(), role: row.role, state: row.state, silent_ms, age_ms }
        };
        View { machines: self.machines.iter().map(machine).collect(), partitions: self.partitions.clone() }
    }

    /// All or none. `false`: refused.
    pub fn assign(&mut self, monitor: &MachineId, plan: &[Assignment], now: Time) -> bool {
        let holds = self.lease.as_ref().is_some_and(|(holder, until)| holder == monitor && *until > now);
        let is_next = |one: &Assignment| self.partitions[one.partition as usize].epoch + 1 == one.epoch;
        if !holds || !plan.iter().all(is_next) {
            return false;
        }
        for Assignment { partition, host, epoch } in plan {
            let row = &mut self.partitions[*partition as usize];
            (row.host, row.epoch) = (Some(host.clone()), *epoch);
        }
        true
    }
}
