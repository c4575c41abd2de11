//! Carries out the room's outputs: each leaves at once, or waits for a place, for a component, or for all earlier outputs.

use super::{Creation, HostedRoom, Identity, MAX_HELD, Output, RowEnd, Save, Waiting};
use crate::{
    command::{EdgeCommand, RoomCommand},
    ids::{MachineId, RoomId},
    json::Json,
    planted::{Bug, planted},
    room::{self, Notice},
};

impl HostedRoom {
    pub(super) fn append(&mut self, room: RoomId, command: RoomCommand) {
        self.outputs.push_back(Output::Append { room, time: self.now, command, receipt: None });
    }

    pub(super) fn carry_out(&mut self, output: room::Output) -> Option<Output> {
        match output {
            room::Output::Guest(call) => Some(Output::Guest(call)),
            room::Output::Append(room, command) => {
                Some(Output::Append { room, time: self.now, command, receipt: None })
            }
            room::Output::Create { id, kind, options, source, secret, allowance } => {
                let creation = Creation { id, kind: kind.clone(), options, source, secret, allowance };
                self.waiting = Waiting::Component(Box::new(creation));
                Some(Output::FindComponent(kind))
            }
            room::Output::Edge(edge, command) => self.send(edge, command),
            room::Output::Kick { session, reason } => {
                self.kicks.insert(session).then_some(Output::EndSession { session, reason })
            }
            room::Output::Perform { number, kind, data } => {
                self.performing.insert(number);
                Some(Output::Perform { number, kind, data })
            }
            room::Output::Snapshot { offset, bytes } => {
                self.identity = Identity::of(&self.room).or(self.identity.take());
                self.schedule.unsaved_since = None;
                self.owe(Save { offset, summary: self.summary(), snapshot: Some(bytes), ended: None });
                None
            }
            room::Output::Ended { outcome, failed } => Some(self.on_ended(outcome, failed)),
            room::Output::Report(report) => Some(Output::Report(report)),
            room::Output::Log { level, text } => Some(Output::Log { level, text }),
            room::Output::Notice(notice) => {
                if matches!(notice, Notice::RestartScheduled { .. }) {
                    self.outputs.push_back(Output::DropInstance);
                }
                Some(Output::Notice(notice))
            }
        }
    }

    pub(super) fn send(&mut self, edge: MachineId, command: EdgeCommand) -> Option<Output> {
        if self.gate.is_open_for(&command) {
            return Some(Output::Send { edge, command });
        }
        if self.gate.held() < MAX_HELD {
            self.gate.hold(edge, command);
        } else {
            self.waiting = Waiting::Place(edge, command);
        }
        None
    }

    pub(super) fn on_ended(&mut self, outcome: Json, failed: Option<Box<str>>) -> Output {
        self.schedule.unsaved_since = None;
        let ended = RowEnd { at: self.now, outcome, failed: failed.clone() };
        let offset = self.applied.expect("a record has ended the room");
        self.owe(Save { offset, summary: self.summary(), snapshot: None, ended: Some(ended) });
        self.outputs.push_back(Output::DropInstance);
        Output::Ended { failed }
    }

    pub(super) fn owe(&mut self, save: Save) {
        self.waiting = Waiting::Owing { save: Box::new(save), flushing: false };
    }

    /// Continues with what the room waits for, as far as it can.
    pub(super) fn go_on(&mut self, waiting: Waiting) -> Option<Output> {
        match waiting {
            Waiting::Place(edge, command) => self.send(edge, command),
            Waiting::Owing { save, flushing: false } if self.owes_nothing_but_a_flush(&save) => {
                if planted(Bug::EarlySnapshot) {
                    return Some(self.save(*save));
                }
                self.waiting = Waiting::Owing { save, flushing: true };
                Some(Output::Flush)
            }
            waiting => {
                self.waiting = waiting;
                None
            }
        }
    }

    /// After the end the room's state no longer keeps the kicks, so the end is stored only when the kicks are done.
    fn owes_nothing_but_a_flush(&self, save: &Save) -> bool {
        self.gate.held() == 0 && (save.ended.is_none() || self.kicks.is_empty())
    }

    pub(super) fn save(&mut self, save: Save) -> Output {
        self.saving = Some(save.offset);
        Output::Save(Box::new(save))
    }
}
