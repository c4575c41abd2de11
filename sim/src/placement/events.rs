//! What happens to machines, services and clocks.

use chorus_core::{
    ids::MachineId,
    placement::{MachineState, Role},
};
use rand_chacha::rand_core::Rng;

use super::{
    Row, World,
    dials::{DIALS, Event},
};

impl World {
    pub(super) fn event(&mut self) {
        if self.leapt_at.is_some_and(|leapt| self.now < leapt + DIALS.leaps_ms) && self.one_in(DIALS.leap_again) {
            self.leap();
        }
        let mut draw = self.below(DIALS.events.iter().map(|(weight, _)| weight).sum());
        let drawn = DIALS.events.iter().find(|(weight, _)| {
            let hit = draw < *weight;
            draw = draw.saturating_sub(*weight);
            hit
        });
        match drawn.expect("the weights add up").1 {
            Event::Nothing => {}
            Event::StartHost => self.start(Role::Host),
            Event::StartEdge => self.start(Role::Edge),
            Event::FallSilent => self.some_machine(|machine| machine.lives = false),
            Event::Recover => self.recover_some_machine(),
            Event::Drain => self.drain_some_machine(),
            Event::Leave => self.some_machine_leaves(),
            Event::LoseStore => self.store_is_lost = true,
            Event::RecoverStore => self.store_is_lost = false,
            Event::LoseBroker => drop(self.broker_lost_since.get_or_insert(self.now)),
            Event::RecoverBroker => self.broker_lost_since = None,
            Event::Pause => {
                let n = self.some_monitor();
                self.pause(n);
            }
            Event::Resume => {
                let n = self.some_monitor();
                self.monitors[n].paused = false;
            }
            Event::Leap => self.leap(),
            Event::Night => self.now += DIALS.night_ms,
            Event::LoseSite => self.machines.iter_mut().for_each(|row| row.lives &= row.role == Role::Monitor),
        }
    }

    pub(super) fn start(&mut self, role: Role) {
        if !self.store_is_lost {
            self.register(role);
        }
    }

    pub(super) fn register(&mut self, role: Role) -> MachineId {
        self.incarnations += 1;
        let id = MachineId(format!("{role}-{}", self.incarnations).into());
        let (state, now, phase) = (MachineState::Alive, self.now, self.incarnations);
        let row = Row { id: id.clone(), role, state, registered_at: now, heartbeat_at: now, lives: true, phase };
        self.machines.push(row);
        id
    }

    /// The machine's first heartbeat is immediate: before that, no monitor can see that it is alive.
    pub(super) fn recover_some_machine(&mut self) {
        let now = self.now;
        if self.store_is_lost || self.broker_lost_since.is_some() {
            return;
        }
        self.some_machine(|machine| {
            if machine.state != MachineState::Dead {
                (machine.lives, machine.heartbeat_at) = (true, now);
            }
        });
    }

    /// Of any role: an operator may drain a monitor too.
    pub(super) fn drain_some_machine(&mut self) {
        if !self.machines.is_empty() && !self.store_is_lost {
            let at = self.below(self.machines.len() as u64) as usize;
            let machine = &mut self.machines[at];
            machine.state = machine.state.max(MachineState::Draining);
        }
    }

    pub(super) fn some_machine_leaves(&mut self) {
        let mut leaves = None;
        self.some_machine(|machine| leaves = Some(machine.id.clone()));
        if !self.store_is_lost {
            self.machines.retain(|machine| Some(&machine.id) != leaves.as_ref());
        }
    }

    /// A host or an edge.
    pub(super) fn some_machine(&mut self, change: impl FnOnce(&mut Row)) {
        let mut others: Vec<&mut Row> = self.machines.iter_mut().filter(|row| row.role != Role::Monitor).collect();
        if !others.is_empty() {
            let at = (self.dice.next_u64() % others.len() as u64) as usize;
            change(others[at]);
        }
    }

    pub(super) fn some_monitor(&mut self) -> usize {
        self.below(self.monitors.len() as u64) as usize
    }

    pub(super) fn pause(&mut self, n: usize) {
        self.monitors[n].paused = true;
        let id = &self.monitors[n].id;
        self.machines.iter_mut().filter(|row| row.id == *id).for_each(|row| row.lives = false);
    }

    /// Sets only the database's clock forward: the other clocks are then ahead of it by less.
    pub(super) fn leap(&mut self) {
        self.now += DIALS.leap_ms;
        self.leapt_at = Some(self.now);
        for monitor in &mut self.monitors {
            monitor.ahead -= DIALS.leap_ms;
        }
    }
}
