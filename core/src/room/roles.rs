//! The roles of a room's members: a member is a player or a spectator, from its admission on and until the script has it sit
//! down or stand up.
//!
//! The change is one of the member's state alone: its session, its frames, its own view, and what the guest keeps for it
//! stay. No frame reports it; a member sees its role in the view, if the script shows it there.
//!
//! Bounds: a `sit` needs one of the `max_players` seats. An SDK counts the same way, and throws in the script's own call, so a
//! call that requests more is a fault.

use std::collections::BTreeMap;

use super::{state::State, step::CallOrigin};
use crate::{command::Fault, effect::Effect, ids::SessionId};

/// Checks that each member that sits down is a spectator with a seat to take, and each that stands up a player. The effects are
/// considered in their order: a seat that a player has given up can be taken by the next effect.
pub(super) fn check(state: &State, origin: &CallOrigin, effects: &[Effect]) -> Result<(), Fault> {
    let changes = |effect: &Effect| matches!(effect, Effect::Sit { .. } | Effect::Stand { .. });
    if !effects.iter().any(changes) {
        return Ok(());
    }
    let mut roles = Roles { state, changed: BTreeMap::new(), free: state.free_seats() };
    for effect in effects {
        match effect {
            Effect::Admit { spectator } => roles.admit(origin, *spectator),
            Effect::Sit { session } => roles.sit(*session)?,
            Effect::Stand { session } => roles.stand(*session)?,
            _ => {}
        }
    }
    Ok(())
}

/// The members' roles after some effects of a call.
struct Roles<'a> {
    state: &'a State,
    /// Whether these members are spectators; the role of any other is that of the state.
    changed: BTreeMap<SessionId, bool>,
    /// `None`: the kind sets no limit.
    free: Option<i64>,
}

impl Roles<'_> {
    /// Only the first admission of a join has an effect.
    fn admit(&mut self, origin: &CallOrigin, spectator: bool) {
        let CallOrigin::Join(joining) = origin else { return };
        if !self.changed.contains_key(&joining.session) {
            self.change(joining.session, spectator, if spectator { 0 } else { -1 });
        }
    }

    fn sit(&mut self, session: SessionId) -> Result<(), Fault> {
        if !self.is_spectator("sit", session)? {
            return Err(Fault::Garbage(format!("sit: {session} is a player").into()));
        }
        if self.free.is_some_and(|free| free <= 0) {
            let max = self.state.max_players();
            return Err(Fault::Garbage(
                format!("sit: more players than {max}, the most that the room may have").into(),
            ));
        }
        self.change(session, false, -1);
        Ok(())
    }

    fn stand(&mut self, session: SessionId) -> Result<(), Fault> {
        if self.is_spectator("stand", session)? {
            return Err(Fault::Garbage(format!("stand: {session} is a spectator").into()));
        }
        self.change(session, true, 1);
        Ok(())
    }

    fn is_spectator(&self, what: &str, session: SessionId) -> Result<bool, Fault> {
        let known = || self.state.members.get(&session).map(|member| member.spectator);
        let role = self.changed.get(&session).copied().or_else(known);
        role.ok_or_else(|| Fault::Garbage(format!("{what}: {session} is not in the room").into()))
    }

    fn change(&mut self, session: SessionId, spectator: bool, seats: i64) {
        self.changed.insert(session, spectator);
        self.free = self.free.map(|free| free + seats);
    }
}

impl State {
    pub(super) fn has_free_seat(&self) -> bool {
        self.free_seats().is_none_or(|seats| seats > 0)
    }

    /// `None`: the kind sets no limit. Below zero after a swap to a version with fewer seats.
    pub(super) fn free_seats(&self) -> Option<i64> {
        let max = self.max_players();
        let players = || self.members.values().filter(|member| !member.spectator).count() as i64;
        (max > 0).then(|| i64::from(max) - players())
    }

    fn max_players(&self) -> u32 {
        self.spec.as_ref().map_or(0, |spec| spec.max_players)
    }

    pub(super) fn set_spectator(&mut self, session: SessionId, spectator: bool) {
        if let Some(member) = self.members.get_mut(&session) {
            member.spectator = spectator;
        }
    }
}
