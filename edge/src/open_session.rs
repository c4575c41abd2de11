//! A client's player and its session: a new session, or the one that the client's token names.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
};

use chorus_core::{
    command::{EdgeCommand, Player},
    frame::{CloseCode, Hello},
    ids::{Digest, RoomId, SessionId},
    session::{Input, Opened, close_reason},
};
use chorus_store::{Resumed, SessionRow, StoreError};
use tracing::Instrument as _;

use crate::{
    address::Address, links::Links, name, new_sessions::NewSessions, session_handle::SessionHandle, sessions::Sessions,
};

/// A close frame holds 123 bytes.
const INVALID_NAME: &str =
    "a name has 1 to 32 characters (256 bytes), one of which can be seen, and no control characters";

/// Opens sessions on behalf of connections.
#[derive(Debug)]
pub(crate) struct SessionOpener {
    links: Arc<Links>,
    sessions: Arc<Sessions>,
    new_sessions: Mutex<NewSessions>,
}

type Refused = (CloseCode, Cow<'static, str>);

impl SessionOpener {
    pub fn new(links: Arc<Links>, sessions: Arc<Sessions>) -> SessionOpener {
        let new_sessions = Mutex::new(NewSessions::new(links.options.new_sessions));
        SessionOpener { links, sessions, new_sessions }
    }

    /// Finds or opens the session of this `hello`, and notifies the handle.
    pub fn start(self: &Arc<Self>, handle: Arc<SessionHandle>, hello: Hello) {
        let (this, guard) = (self.clone(), self.links.drain.guard());
        let span = tracing::info_span!("open_session", connection = handle.connection.0);
        let opening = async move {
            match this.find_or_open(handle.address, &hello).await {
                Ok(Ok(opened)) => this.sessions.take_over(&handle, opened),
                Ok(Err((code, reason))) => handle.input(Input::NotOpened { code, reason }),
                Err(error) => {
                    tracing::warn!(%error, "no session could be opened");
                    let reason = "this server cannot reach its store now".into();
                    handle.input(Input::NotOpened { code: CloseCode::Unavailable, reason });
                }
            }
            drop(guard);
        };
        tokio::spawn(opening.instrument(span));
    }

    async fn find_or_open(&self, address: Address, hello: &Hello) -> Result<Result<Opened, Refused>, StoreError> {
        let Links { store, .. } = &*self.links;
        let next_token = hex::encode(random::<32>());
        if let Some(token) = &hello.resume {
            if let Some(opened) = self.resume(token, &next_token).await? {
                return Ok(Ok(opened));
            }
            if let Some(reason) = store.kicked_session(hash(token)).await? {
                return Ok(Err((CloseCode::Kicked, close_reason(&reason).into())));
            }
        }
        let player = match identify(hello) {
            Ok(player) => player,
            Err((code, reason)) => return Ok(Err((code, reason.into()))),
        };
        if !self.admits(address) {
            return Ok(Err((CloseCode::TooMany, "too many new sessions from your address: come again later".into())));
        }
        let session = SessionId(u128::from_be_bytes(random()));
        let (edge, resume_hash) = (self.links.edge().clone(), hash(&next_token));
        let row = SessionRow { id: session, player: player.clone(), edge, resume_hash };
        store.open_session(row, RoomId::LOBBY).await?;
        Ok(Ok(Opened { session, player, resume: next_token, owed: 0, recovered: None }))
    }

    async fn resume(&self, token: &str, next_token: &str) -> Result<Option<Opened>, StoreError> {
        let Links { store, bus, .. } = &*self.links;
        let resumed = store.resume_session(hash(token), hash(next_token), self.links.edge()).await?;
        let Some(Resumed { session, player, rooms, replaced }) = resumed else { return Ok(None) };
        if let Some(edge) = replaced {
            // The confirmation is not awaited: if the command is lost, that edge detects the loss of the session at
            // its next write.
            drop(bus.send_edge(&edge, EdgeCommand::Replaced { session }));
        }
        let (owed, recovered) = (self.sessions.debt(session), Some(rooms));
        Ok(Some(Opened { session, player, resume: next_token.to_owned(), owed, recovered }))
    }

    /// Whether this address may open one more session.
    fn admits(&self, address: Address) -> bool {
        let mut new_sessions = self.new_sessions.lock().expect("nobody panics while holding it");
        new_sessions.admit(address, self.links.now()).is_ok()
    }
}

/// The player of a `hello`. Identities come from this function only. Players are anonymous for now: each has an id of its
/// own that stays with the session.
fn identify(hello: &Hello) -> Result<Player, (CloseCode, &'static str)> {
    if hello.token.is_some() {
        return Err((CloseCode::Unauthorized, "tokens are not accepted here"));
    }
    let [number] = random::<1>();
    let name = match hello.name.as_deref().map(name::normalize) {
        Some(Some(name)) => name,
        Some(None) => return Err((CloseCode::Unauthorized, INVALID_NAME)),
        None => format!("Player {}", 100 + u16::from(number)),
    };
    Ok(Player { id: hex::encode(random::<16>()).into(), name: name.into() })
}

/// The only part of a token that is kept.
fn hash(token: &str) -> [u8; 32] {
    Digest::of(token.as_bytes()).0
}

/// # Panics
/// When the system has no randomness: no secret could be made.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anyone() -> Hello {
        Hello::default()
    }

    #[test]
    fn a_name_is_seen_and_short() {
        let hello = |name: &str| {
            let mut hello = anyone();
            hello.name = Some(name.into());
            hello
        };
        for good in ["Ana", " Ana ", "Žofie 🎲", &"x".repeat(32)] {
            let player = identify(&hello(good)).expect(good);
            assert_eq!(&*player.name, good.trim());
        }
        for bad in ["", "   ", "a\nb", "\u{202e}evil", "\u{200b}", &"x".repeat(33)] {
            assert!(identify(&hello(bad)).is_err(), "{bad:?}");
        }
        assert!(identify(&anyone()).is_ok());
    }

    #[test]
    fn tokens_wait_for_their_issue() {
        let mut hello = anyone();
        hello.token = Some("secret".into());
        assert_eq!(identify(&hello).unwrap_err().0, CloseCode::Unauthorized);
    }
}
