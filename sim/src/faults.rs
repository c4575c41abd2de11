//! Faults: machines are killed, stall, and are drained; operators activate other components, some of which trap.

use chorus_core::{
    command::{EdgeCommand, LeaveReason, RoomCommand},
    frame::CloseCode,
    identity::{Ending, SessionsOf},
    ids::{Digest, Kind, RoomId},
    placement::MachineState,
};

use crate::{
    Happened, Violation,
    dials::DIALS,
    edge::{ADDRESS, Edge},
    event::{Event, Life},
    host::Host,
    monitor::Monitor,
    network::Channel,
    script,
    world::{Machine, OUTSIDE, Role, SLOTS, Slot, World, machine_id},
};

impl World {
    // ---- machines begin and end ----

    /// Starts the machine of this slot, under a new id.
    pub fn start(&mut self, slot: Slot) {
        let life = self.next_life;
        self.next_life += 1;
        let (id, now) = (machine_id(life), self.now);
        let (role, name) = match slot {
            Slot::Host(_) => (Role::Host(Host::new(id.clone())), chorus_core::placement::Role::Host),
            Slot::Edge(_) => (Role::Edge(Edge::new(id.clone())), chorus_core::placement::Role::Edge),
            Slot::Monitor(_) => (Role::Monitor(Monitor::new(id.clone(), now)), chorus_core::placement::Role::Monitor),
        };
        self.machines.insert(life, Machine { role, slot: Some(slot), alive: true, stalled_until: None, cut: None });
        self.slots.insert(slot, life);
        self.store.register(id, name, now);
        self.after(DIALS.heartbeat, Event::Heartbeat(life));
        if matches!(slot, Slot::Monitor(_)) {
            self.after(1, Event::MonitorTick(life));
        }
    }

    pub fn restart(&mut self, life: Life) {
        if let Some(slot) = self.machines[&life].slot {
            self.start(slot);
        }
    }

    pub fn heartbeat(&mut self, life: Life) {
        let ms = self.draw(DIALS.fenced);
        self.after(ms, Event::HeartbeatAnswer(life));
    }

    /// A machine that was declared dead ends. Its restart has a new id.
    pub fn heartbeat_answer(&mut self, life: Life) -> Result<(), Violation> {
        let state = self.store.heartbeat(&machine_id(life), self.now);
        if state == MachineState::Dead {
            self.kill(life);
            return Ok(());
        }
        self.after(DIALS.heartbeat, Event::Heartbeat(life));
        match &self.machines[&life].role {
            Role::Host(_) => self.host_refreshes(life, state),
            Role::Edge(_) => {
                self.edge_refreshes(life, state);
                Ok(())
            }
            Role::Monitor(_) | Role::Outside => Ok(()),
        }
    }

    // ---- faults ----

    pub fn fault(&mut self) {
        if self.faults_left == 0 {
            return;
        }
        self.faults_left -= 1;
        self.calm_since = self.now;
        let ms = self.draw(DIALS.fault);
        self.after(ms, Event::Fault);
        if self.one_in(DIALS.swap) {
            self.activate_another();
        }
        if self.one_in(DIALS.operator_kick) {
            self.kick_a_player();
        }
        let n = self.draw(0..SLOTS as u64) as usize;
        let slot = match () {
            () if self.one_in(DIALS.edge_fault) => Slot::Edge(n),
            () if self.one_in(DIALS.monitor_fault) => Slot::Monitor(n),
            () => Slot::Host(n),
        };
        let life = self.slots[&slot];
        let stalls = self.one_in(DIALS.stall);
        let drains = self.one_in(DIALS.drain) && !matches!(slot, Slot::Monitor(_));
        let machine = &self.machines[&life];
        if !machine.alive || machine.stalled_until.is_some() {
            return;
        }
        match () {
            () if stalls => self.stall(life),
            () if drains => self.store.drain(&machine_id(life)),
            () => self.kill(life),
        }
    }

    fn stall(&mut self, life: Life) {
        let beyond = self.draw(DIALS.stall_beyond);
        let until = self.now.plus(DIALS.monitors.dead_after_ms + beyond);
        self.machines.get_mut(&life).expect("it is there").stalled_until = Some(until);
        self.at(until, Event::Recover(life));
    }

    pub fn recover(&mut self, life: Life) {
        self.machines.get_mut(&life).expect("it is there").stalled_until = None;
    }

    pub fn kill(&mut self, life: Life) {
        let cut = self.now.plus(self.draw(DIALS.cut));
        let machine = self.machines.get_mut(&life).expect("it is there");
        machine.alive = false;
        machine.stalled_until = None;
        machine.cut = Some(cut);
        if let Role::Host(host) = &mut machine.role {
            host.kill();
        }
        self.hang_up_all(life);
        let ms = self.draw(DIALS.restart);
        self.after(ms, Event::Restart(life));
    }

    // ---- operators ----

    /// Ends all sessions of a player: their rows first, then their connections, at every edge, and their rooms.
    fn kick_a_player(&mut self) {
        let players: Vec<_> = self.store.sessions.values().map(|row| row.identity().player.id.clone()).collect();
        if players.is_empty() {
            return;
        }
        let n = self.draw(0..players.len() as u64) as usize;
        let of = SessionsOf::Player(players[n].clone());
        let rows = self.store.sessions.iter_mut().filter(|(_, row)| of.has(row.identity(), ADDRESS));
        let mut leaves = Vec::new();
        for (session, row) in rows {
            row.kick();
            self.kicks.insert(*session);
            leaves.extend(row.rooms().iter().map(|room| (*session, *room)));
        }
        let ending = Ending { of, code: CloseCode::Kicked, reason: "cheating".into() };
        let is_edge = |machine: &Machine| machine.alive && matches!(machine.role, Role::Edge(_));
        let edges = self.machines.iter().filter(|(_, machine)| is_edge(machine)).map(|(life, _)| *life);
        for edge in edges.collect::<Vec<Life>>() {
            let at = self.arrival(OUTSIDE, Channel::Edge(edge));
            self.at(at, Event::ToEdge(OUTSIDE, edge, EdgeCommand::End(ending.clone())));
        }
        for (session, room) in leaves {
            self.append(OUTSIDE, room, RoomCommand::Leave { session, reason: LeaveReason::Kicked });
        }
        self.count(Happened::OperatorKick);
    }

    fn activate_another(&mut self) {
        self.next_component += 1;
        let number = self.next_component;
        let kind = if self.one_in(2) { Kind::lobby() } else { script::game() };
        let good = script::component(&kind, number, false);
        if self.one_in(DIALS.bad_swap) {
            self.activate(&script::component(&kind, number, true));
            let ms = self.draw(DIALS.bad_for);
            self.after(ms, Event::Activate(good));
        } else {
            self.activate(&good);
        }
    }

    /// Makes this the active component of its kind, and swaps the rooms that are in the store. Hosts read it with their next
    /// heartbeat, and swap rooms that are younger than their first snapshot.
    pub fn activate(&mut self, component: &Digest) {
        let kind = script::kind_of(component);
        self.store.active.insert(kind.clone(), *component);
        let others =
            self.store.rooms.iter().filter(|(_, row)| row.kind == kind && !row.ended && row.component != *component);
        for room in others.map(|(room, _)| *room).collect::<Vec<RoomId>>() {
            self.append(OUTSIDE, room, RoomCommand::Swap { component: *component, rollout: None });
        }
    }
}
