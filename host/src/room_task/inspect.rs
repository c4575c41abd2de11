//! The answers of a room's task to an author's questions: see [`crate::inspect`].

use std::{ops::ControlFlow, time::Instant};

use chorus_core::{
    hosting::Input,
    ids::Digest,
    room::{Call, Outcome, State},
};

use super::{RoomTask, next_report};
use crate::{
    HostError,
    inspect::{Look, Question, Rebuilt},
};

impl RoomTask {
    /// Breaks when the room hibernates; the other questions have no answer then.
    pub(super) async fn answer_questions(&mut self) -> Result<ControlFlow<()>, HostError> {
        for question in self.mailbox.take_questions() {
            // An asker that has gone away needs no answer.
            match question {
                Question::Look(answer) => {
                    if let Some(look) = self.look() {
                        let _ = answer.send(look);
                    }
                }
                Question::LoseInstance(answer) => {
                    let ControlFlow::Continue(rebuilt) = self.lose_instance().await? else {
                        return Ok(ControlFlow::Break(()));
                    };
                    if let Some(rebuilt) = rebuilt {
                        let _ = answer.send(rebuilt);
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// `None` of a room that does not exist, or has ended.
    fn look(&self) -> Option<Look> {
        let state = self.hosted.room().state()?;
        Some(Look {
            offset: state.offset,
            component: state.component,
            members: state.members.len(),
            connected: state.members.values().filter(|member| member.connected).count(),
            locked: state.locked,
        })
    }

    /// Between two records: no output waits, and the instance has received all calls.
    async fn lose_instance(&mut self) -> Result<ControlFlow<(), Option<Rebuilt>>, HostError> {
        if self.settle().await?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let before = self.digest().await;
        tracing::info!(room = %self.id, "an instance is dropped for an author");
        let begun = Instant::now();
        self.runner.drop_instance();
        self.handle(Input::InstanceLost);
        if self.settle().await?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let took = begun.elapsed();
        let after = self.digest().await;
        let offset = self.hosted.room().state().map(|state| state.offset);
        Ok(ControlFlow::Continue(offset.map(|offset| Rebuilt { offset, before, after, took })))
    }

    /// Carries out the outputs, and waits until the machine accepts records. Breaks when the room hibernates.
    async fn settle(&mut self) -> Result<ControlFlow<()>, HostError> {
        loop {
            if self.carry_out().await?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.hosted.accepts_records() {
                return Ok(ControlFlow::Continue(()));
            }
            let confirmations = self.hosted.awaits_confirmation();
            let input =
                next_report(&mut self.outbox, &mut self.session_ends, &mut self.requests, confirmations).await?;
            self.handle(input);
        }
    }

    /// The digest of what a snapshot would contain now. The instance is called to save, as for a snapshot, but the machine is not
    /// notified: its base stays, and so do the records that a replay applies again.
    async fn digest(&mut self) -> Option<Digest> {
        let mut state = State::clone(self.hosted.room().state()?);
        // Without an instance no call was made since the last save.
        if self.runner.has_instance() {
            let Ok(Outcome::Saved(Ok(saved))) = self.runner.run(Call::Save).await else {
                self.runner.drop_instance();
                self.handle(Input::InstanceLost);
                return None;
            };
            state.saved = Some(saved);
        }
        Some(Digest::of(&state.encode()))
    }
}
