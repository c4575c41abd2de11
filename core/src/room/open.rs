//! What a new instance is opened with.

use super::{
    io::Call,
    state::State,
    step::{CallOrigin, Step},
};
use crate::{
    effect::{Event, RestoreReason, RoomInfo},
    ids::SessionId,
};

impl Step {
    /// Opens an instance that gets `event` next. The machine has already applied its part of the event, which the guest has yet
    /// to process: the instance is opened with the event's member as it was before.
    pub fn open_for(&self, event: &Event, reason: RestoreReason, is_replay: bool) -> Call {
        let restored = (!matches!(self.origin, CallOrigin::Create)).then_some(reason);
        let mut info = self.info(restored);
        info.members = self.state.member_infos(self.departed.as_deref());
        match event {
            Event::Drop { session } => set_connected(&mut info, *session, true),
            Event::Answer { handler, .. } => info.requests.push(handler.clone()),
            Event::Reconnect { session } => set_connected(&mut info, *session, false),
            _ => {}
        }
        // A room that has lived needs an instance for every record.
        self.open(info, is_replay || restored.is_some())
    }

    /// Opens an instance of the present component, which saves the state for the next component: only the present one can read
    /// the state.
    pub fn open_to_swap(&self, reason: RestoreReason) -> Call {
        self.open(self.info(Some(reason)), true)
    }

    fn open(&self, info: RoomInfo, repeats: bool) -> Call {
        let State { component, saved, .. } = &*self.state;
        Call::Open { component: *component, info: Box::new(info), saved: saved.clone(), repeats }
    }

    pub fn info(&self, restored: Option<RestoreReason>) -> RoomInfo {
        let state = &self.state;
        RoomInfo {
            id: self.room,
            kind: state.kind.clone(),
            creator: state.creator.map(|creator| creator.room),
            context: self.context,
            hash_seed: state.secret.hash_seed(self.room),
            members: state.member_infos(None),
            timers: state.timers.keys().cloned().collect(),
            requests: state.requests.values().map(|request| request.handler.clone()).collect(),
            locked: state.locked,
            rooms: state.rooms_info(self.room),
            restored,
        }
    }
}

fn set_connected(info: &mut RoomInfo, session: SessionId, connected: bool) {
    if let Some(member) = info.members.iter_mut().find(|member| member.session == session) {
        member.connected = connected;
    }
}
