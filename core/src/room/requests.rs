//! What a room asks the outside: requests that its host performs, and whose answers are records.
//!
//! A script makes a request by an effect, under the effect's number. The room's state keeps it until the log has the answer, so
//! a host that restores the room performs it again; the number is the idempotency key. The first `Answer` of a request reaches
//! the script's handler, and removes the request: a second one has no effect. A replay takes the answer from the log and performs
//! nothing.
//!
//! A request that has no answer by its deadline gets one from a `Timer` record under the request's number: an error. An answer
//! that arrives later has no effect.
//!
//! A request whose handler the present component does not have is answered without effect, as a timer without a handler fires
//! without effect.
//!
//! Bounds: [`MAX_REQUESTS`] of a room are pending; their data by the contract's limits.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Output, Room,
    state::State,
    step::{CallOrigin, Next, Step},
};
use crate::{
    command::Fault,
    effect::{Effect, Event},
    ids::{OutputId, Time},
    json::Json,
};

/// Requests of one room that are pending at a time.
pub const MAX_REQUESTS: usize = 16;

/// What is requested. Enums of formats only grow at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestKind {
    /// Living rooms of a kind, by their metadata.
    Find,
}

impl RequestKind {
    /// Its name in the contract, and for operators.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestKind::Find => "find",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<RequestKind> {
        (name == "find").then_some(RequestKind::Find)
    }
}

/// A request that has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub kind: RequestKind,
    /// The script's handler of the answer.
    pub handler: Arc<str>,
    /// The deadline, by the room's time.
    pub due: Time,
    /// The delay that the deadline was set with.
    pub delay_ms: u64,
    /// For the handler, as the script gave it.
    pub payload: Json,
    /// What is requested, in the form of its kind.
    pub data: Json,
}

/// Checks that the requests pending after these effects are within the limit. A request of an earlier component, for whose
/// handler this one has none, is not counted: the script has no access to it.
pub(super) fn check(state: &State, effects: &[Effect]) -> Result<(), Fault> {
    let made = effects.iter().filter(|effect| matches!(effect, Effect::Request { .. })).count();
    if made == 0 {
        return Ok(());
    }
    let pending = state.requests.values().filter(|request| state.has_handler(&request.handler)).count() + made;
    if pending > MAX_REQUESTS {
        return Err(Fault::TooMuch(format!("{pending} pending requests; it may have {MAX_REQUESTS}").into()));
    }
    Ok(())
}

impl State {
    fn has_handler(&self, handler: &Arc<str>) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.answers.contains(handler))
    }
}

/// The answer of a request. Without effect if the request has an answer already.
pub(super) fn answered(step: &mut Step, number: OutputId, result: Result<Json, Box<str>>) -> Next {
    let Some(Request { handler, payload, .. }) = step.state.requests.remove(&number) else { return Next::Done };
    if !step.state.has_handler(&handler) {
        return Next::Done;
    }
    Next::Call(Event::Answer { handler, payload, result }, CallOrigin::Other)
}

/// The deadline of a request has passed; `None` if this is no request that is pending.
pub(super) fn expired(step: &mut Step, number: OutputId) -> Option<Next> {
    let delay_ms = step.state.requests.get(&number)?.delay_ms;
    Some(answered(step, number, Err(format!("no answer within {delay_ms} ms").into())))
}

impl Room {
    /// Outputs the requests that are pending, each once for this machine: when every record at hand is applied, so that a replay
    /// performs no request whose answer follows. A room that is restored from a snapshot may repeat one, which does no harm.
    pub(super) fn perform_requests(&mut self) {
        let Some(state) = self.phase.state() else { return };
        if state.requests.is_empty() && self.performed.is_empty() {
            return;
        }
        self.performed.retain(|number, _| state.requests.contains_key(number));
        for (number, request) in &state.requests {
            // After a swap is undone, another request may have this number.
            if self.performed.get(number) != Some(request) {
                self.performed.insert(*number, request.clone());
                let (number, kind, data) = (*number, request.kind, request.data.clone());
                self.outputs.push_back(Output::Perform { number, kind, data });
            }
        }
    }
}
