//! The client that a room's work is charged to.
//!
//! A record that a client has caused is charged to that client. If the guest fails on it, the replay without that record and
//! the `Fault` record are charged to the client too. See `docs/adr/0007-charging-faults.md`.
//!
//! Bounds: one account for each record that was skipped and whose `Fault` record is not applied yet.

use std::collections::BTreeMap;

use super::{io::Call, state::State};
use crate::{
    command::{Joining, RoomCommand},
    ids::{ConnectionId, MachineId, Offset, SessionId},
};

/// A client's session, and its latest connection in the room's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub session: SessionId,
    pub edge: MachineId,
    pub connection: ConnectionId,
    /// The record that the client has caused.
    pub offset: Offset,
}

#[derive(Debug, Default)]
pub(super) struct Charges {
    /// The client on whose behalf the machine and its guest work now.
    current: Option<Account>,
    /// Whether that work is the replay after a failed record of this client.
    replays_failure: bool,
    /// The clients whose records were skipped, by offset, until the `Fault` record itself is applied.
    skipped: BTreeMap<Offset, Account>,
}

impl Charges {
    /// A record is applied for the first time. `fails`: the guest is known to fail on it. A `Fault` record is applied on behalf
    /// of the client that caused the failed record.
    pub fn begin(&mut self, offset: Offset, command: &RoomCommand, state: &State, fails: bool) {
        self.replays_failure &= fails && self.current.as_ref().is_some_and(|account| account.offset == offset);
        self.current = match command {
            RoomCommand::Fault { at, .. } => self.skipped.remove(&at.offset),
            command => Account::of(offset, command, state),
        };
    }

    /// A call for the current record has failed.
    pub fn begin_replay(&mut self) {
        self.replays_failure = true;
    }

    /// The current record is skipped; its `Fault` record will be charged to the same client.
    pub fn keep_for_fault(&mut self, offset: Offset) {
        if let Some(account) = self.current.clone() {
            self.skipped.insert(offset, account);
        }
    }

    pub fn current(&self) -> Option<&Account> {
        self.current.as_ref()
    }

    /// Instances are opened and saved on behalf of all members, unless a client's failure made that necessary.
    pub fn account_for(&self, call: &Call) -> Option<&Account> {
        let is_charged = match call {
            Call::Handle(_) => true,
            Call::HandleAll(_) => false,
            Call::Open { .. } | Call::Save | Call::Swap { .. } => self.replays_failure,
        };
        self.current.as_ref().filter(|_| is_charged)
    }
}

impl Account {
    pub(super) fn of(offset: Offset, command: &RoomCommand, state: &State) -> Option<Account> {
        let session = command.client()?;
        let (edge, connection) = match command {
            RoomCommand::Join(Joining { edge, request, .. }) | RoomCommand::Reconnect { edge, request, .. } => {
                (edge.clone(), request.connection)
            }
            _ => {
                let member = state.members.get(&session)?;
                (member.edge.clone(), member.request.connection)
            }
        };
        Some(Account { session, edge, connection, offset })
    }
}
