//! Monitors: the shell of `core::placement`. Two of them compete for the lease.

use chorus_core::{
    command::{LeaveReason, RoomCommand},
    ids::{MachineId, Time},
    placement::{Input, Output, Placement},
};

use crate::{
    Happened,
    dials::DIALS,
    event::{Event, Life},
    world::{GONE, Role, World},
};

pub(crate) struct Monitor {
    pub id: MachineId,
    placement: Placement,
}

impl Monitor {
    pub fn new(id: MachineId, now: Time) -> Monitor {
        Monitor { placement: Placement::new(id.clone(), DIALS.monitors, now), id }
    }
}

impl World {
    fn monitor(&mut self, life: Life) -> Option<&mut Monitor> {
        match &mut self.machines.get_mut(&life)?.role {
            Role::Monitor(monitor) => Some(monitor),
            _ => None,
        }
    }

    pub fn monitor_tick(&mut self, life: Life) {
        self.drive_monitor(life, Input::BrokerAnswered { sent_at: self.now });
        self.drive_monitor(life, Input::Tick);
        self.expire_sessions(life);
        let now = self.now;
        let due = self.monitor(life).and_then(|monitor| monitor.placement.poll_timeout());
        let due = due.unwrap_or_else(|| now.plus(DIALS.monitors.refresh_ms));
        self.at(due.max(now.plus(1)), Event::MonitorTick(life));
    }

    fn drive_monitor(&mut self, life: Life, input: Input) {
        let now = self.now;
        let Some(monitor) = self.monitor(life) else { return };
        monitor.placement.handle(input, now);
        let id = monitor.id.clone();
        while let Some(output) = self.monitor(life).and_then(|monitor| monitor.placement.poll_output()) {
            let answer = self.carry_out_monitor(life, &id, output);
            if let (Some(answer), Some(monitor)) = (answer, self.monitor(life)) {
                monitor.placement.handle(answer, now);
            }
        }
    }

    fn carry_out_monitor(&mut self, life: Life, id: &MachineId, output: Output) -> Option<Input> {
        let now = self.now;
        let done = |done| Some(if done { Input::Done } else { Input::Refused });
        match output {
            // Sent with the heartbeats of all machines.
            Output::Heartbeat => Some(Input::Done),
            Output::AcquireLease => {
                let held = self.store.acquire_lease(id, DIALS.monitors.lease_ms, now);
                Some(Input::Lease { held, sent_at: now })
            }
            Output::ReadTables => Some(Input::View(self.store.view(now))),
            Output::DeclareDead { machine, .. } => {
                let dead = self.store.declare_dead(&machine, DIALS.monitors.dead_after_ms, now);
                if dead {
                    self.count(Happened::Death);
                }
                done(dead)
            }
            Output::Assign(plan) => done(self.store.assign(id, &plan, now)),
            Output::DropSessionsOf { edge } => {
                let ms = self.draw(DIALS.latency);
                self.after(ms, Event::SessionsDropped(life, edge));
                None
            }
            Output::CleanUp { machine, .. } => {
                self.store.close(&machine);
                self.drop_sessions(life, &machine);
                Some(Input::WorkEnded { machine, succeeded: true })
            }
            Output::MayLeave { .. } | Output::Notice(_) => None,
        }
    }

    /// Ends sessions that were disconnected for too long.
    fn expire_sessions(&mut self, life: Life) {
        let now = self.now;
        if !self.monitor(life).is_some_and(|monitor| monitor.placement.is_active(now)) {
            return;
        }
        for (session, rooms) in self.store.expired(DIALS.session_expiry, now) {
            for room in rooms {
                self.append(life, room, RoomCommand::Leave { session, reason: LeaveReason::TimedOut });
            }
            self.store.sessions.remove(&session);
        }
    }

    pub fn sessions_dropped(&mut self, life: Life, edge: MachineId) {
        self.drop_sessions(life, &edge);
        self.drive_monitor(life, Input::WorkEnded { machine: edge, succeeded: true });
    }

    /// The rooms of a dead edge's sessions get a `Drop`.
    fn drop_sessions(&mut self, life: Life, edge: &MachineId) {
        let mut drops = Vec::new();
        for (session, row) in self.store.sessions.iter_mut().filter(|(_, row)| row.edge() == edge) {
            row.disconnect(edge);
            drops.extend(row.rooms().iter().map(|room| (*session, *room)));
        }
        for (session, room) in drops {
            self.append(life, room, RoomCommand::Drop { session, edge: edge.clone(), code: GONE });
        }
    }
}
