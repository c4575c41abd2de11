//! A host's partitions: the shell of `core::hosting::ownership`.

use std::collections::BTreeSet;

use chorus_core::{
    hosting::{Input, Takeover, ownership, recovery},
    ids::RoomId,
    placement::{MachineState, Partition},
    room,
};

use crate::{
    Happened, Violation,
    dials::DIALS,
    event::{Event, Life},
    world::{World, partition_of},
};

impl World {
    /// The answer to a host's heartbeat, and the assignments and components that the host reads with it.
    pub fn host_refreshes(&mut self, life: Life, state: MachineState) -> Result<(), Violation> {
        let now = self.now;
        let Some(host) = self.host(life) else { return Ok(()) };
        let id = host.id.clone();
        let mine = |row: &&Partition| row.host.as_ref() == Some(&id);
        let partitions: BTreeSet<u32> = self.store.partitions.iter().filter(mine).map(|row| row.partition).collect();
        let active = self.store.active.clone();
        let host = self.host(life).expect("it was there");
        let none_left = partitions.is_empty();
        host.ownership.handle(ownership::Input::Assigned { partitions, within_ms: DIALS.hand_over }, now);
        let changed = host.active != active;
        host.active = active;
        self.drive_ownership(life)?;
        if changed {
            self.report_active(life)?;
        }
        if state == MachineState::Draining && none_left {
            self.host_leaves(life)?;
        }
        Ok(())
    }

    fn report_active(&mut self, life: Life) -> Result<(), Violation> {
        let Some(host) = self.host(life) else { return Ok(()) };
        let active = host.active.clone();
        for (room, serial) in host.rooms.iter().map(|(room, live)| (*room, live.serial)).collect::<Vec<_>>() {
            let Some(mut live) = self.take_live(life, room, serial) else { continue };
            if let Some(component) = live.hosted.kind().and_then(|kind| active.get(kind)) {
                live.hosted.handle(Input::ActiveComponent(*component), self.now);
            }
            self.serve(life, live)?;
        }
        Ok(())
    }

    /// A host that drains ends when it has no partition left.
    fn host_leaves(&mut self, life: Life) -> Result<(), Violation> {
        let Some(host) = self.host(life) else { return Ok(()) };
        if !host.ownership.is_settled() {
            return Ok(());
        }
        let (owned, id) = (host.ownership.owned(), host.id.clone());
        if !owned.is_empty() {
            return Err(self.wrong(format!("{id} has handed over all partitions, but keeps {owned:?}")));
        }
        self.store.close(&id);
        self.count(Happened::Drained);
        self.machines.get_mut(&life).expect("it was there").alive = false;
        let ms = self.draw(DIALS.restart);
        self.after(ms, Event::Restart(life));
        Ok(())
    }

    pub fn drive_ownership(&mut self, life: Life) -> Result<(), Violation> {
        while let Some(output) = self.host(life).and_then(|host| host.ownership.poll_output()) {
            match output {
                ownership::Output::Take(partition) => {
                    let ms = self.draw(DIALS.takeover);
                    self.after(ms, Event::TakenOver(life, partition));
                }
                ownership::Output::Hibernate(partition) => self.hibernate_all(life, partition)?,
                ownership::Output::Store(partition) => {
                    let at = self.all_arrived(life);
                    self.at(at, Event::PartitionStored(life, partition));
                }
                ownership::Output::Release(partition) => {
                    self.count(Happened::HandOver);
                    self.release(life, partition);
                }
            }
        }
        if let Some(due) = self.host(life).and_then(|host| host.ownership.poll_timeout()) {
            self.at(due, Event::OwnershipTick(life));
        }
        Ok(())
    }

    pub fn ownership_input(&mut self, life: Life, input: ownership::Input) -> Result<(), Violation> {
        let now = self.now;
        if let Some(host) = self.host(life) {
            host.ownership.handle(input, now);
        }
        self.drive_ownership(life)
    }

    /// The host replays its rooms with records that are in no snapshot, up to the log's end. A room that has ended may
    /// have later records too, such as joins that still need an answer.
    pub fn taken_over(&mut self, life: Life, partition: u32) -> Result<(), Violation> {
        let takeover = Takeover { at: self.now, inherited: Some(self.next_offset) };
        let Some(host) = self.host(life) else { return Ok(()) };
        host.followed.insert(partition, takeover);
        self.count(Happened::Takeover);
        let rooms: Vec<RoomId> = self.log.keys().copied().filter(|room| partition_of(*room) == partition).collect();
        for room in rooms {
            let stored = self.store.offset(room);
            let oldest = self.log[&room].iter().map(|(offset, _)| *offset).find(|offset| *offset > stored);
            let timer = self.store.rooms.get(&room).and_then(|stored| Some((stored.next_timer?, stored.clock)));
            if let (Some(oldest), Some(host)) = (oldest, self.host(life)) {
                host.recovery.handle(recovery::Input::Found(room, oldest));
            } else if let Some((due, clock)) = timer {
                self.set_alarm(life, room, room::wakes_at(due, clock, takeover.at));
            }
        }
        self.restore_next(life);
        self.ownership_input(life, ownership::Input::Taken { partition, done: true })
    }

    fn hibernate_all(&mut self, life: Life, partition: u32) -> Result<(), Violation> {
        let Some(host) = self.host(life) else { return Ok(()) };
        host.followed.remove(&partition);
        self.restore_no_longer(life, partition);
        let Some(host) = self.host(life) else { return Ok(()) };
        let live = host.rooms.iter().filter(|(room, _)| partition_of(**room) == partition);
        for (room, serial) in live.map(|(room, live)| (*room, live.serial)).collect::<Vec<_>>() {
            if let Some(mut live) = self.take_live(life, room, serial) {
                live.hosted.handle(Input::Drain, self.now);
                self.serve(life, live)?;
            }
        }
        self.report_hibernation(life, partition);
        Ok(())
    }

    pub(super) fn report_hibernation(&mut self, life: Life, partition: u32) {
        let now = self.now;
        let Some(host) = self.host(life) else { return };
        let is_live = host.rooms.keys().any(|room| partition_of(*room) == partition);
        if !is_live && host.ownership.is_leaving(partition) {
            host.ownership.handle(ownership::Input::Hibernated(partition), now);
        }
    }

    /// The partition's next host restores the rooms that wait.
    fn restore_no_longer(&mut self, life: Life, partition: u32) {
        let rooms: Vec<RoomId> = self.log.keys().copied().filter(|room| partition_of(*room) == partition).collect();
        if let Some(host) = self.host(life) {
            rooms.into_iter().for_each(|room| host.recovery.handle(recovery::Input::Left(room)));
        }
        self.restore_next(life);
    }

    fn release(&mut self, life: Life, partition: u32) {
        self.restore_no_longer(life, partition);
        let Some(host) = self.host(life) else { return };
        host.followed.remove(&partition);
        host.rooms.retain(|room, _| partition_of(*room) != partition);
        host.alarms.retain(|room, _| partition_of(*room) != partition);
        host.clocks.retain(|room, _| partition_of(*room) != partition);
    }
}
