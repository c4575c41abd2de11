//! A client's player and its session: a new session, or the one that the client's token names.

use std::sync::{Arc, Mutex};

use chorus_core::{
    command::{EdgeCommand, Player},
    edge::{Resuming, TooManyConnections},
    frame::{CloseCode, Hello},
    identity::{Account, Admission, GuestId, Identity, Known, Network, admit},
    ids::{Digest, RoomId, SessionId},
    secret::Secret,
    session::{Input, Opened},
};
use chorus_store::{Resumed, SessionRow, StoreError};
use tracing::Instrument as _;

use crate::{
    address::Address,
    links::Links,
    metrics::Limit,
    name,
    name_filter::NameFilter,
    new_sessions::NewSessions,
    players::PlayerSlot,
    session_handle::SessionHandle,
    sessions::Sessions,
    standing,
    tokens::{Refused, hash, random},
};

/// A close frame holds 123 bytes.
const INVALID_NAME: &str =
    "a name has 1 to 32 characters (256 bytes), one of which can be seen, and no control characters";

/// A session, with a place among its player's connections.
type Found = (Opened, PlayerSlot);

/// Opens sessions on behalf of connections.
#[derive(Debug)]
pub(crate) struct SessionOpener {
    links: Arc<Links>,
    sessions: Arc<Sessions>,
    new_sessions: Mutex<NewSessions>,
}

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
            let noted = this.sessions.endings_received();
            match this.find_or_open(handle.address, &hello).await {
                Ok(Ok((opened, player))) => {
                    handle.set_player(player);
                    this.sessions.take_over(&handle, opened, noted);
                }
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

    async fn find_or_open(&self, address: Address, hello: &Hello) -> Result<Result<Found, Refused>, StoreError> {
        let Links { store, identities, .. } = &*self.links;
        let now = self.links.now();
        let credentials = match identities.credentials(hello, now).await {
            Ok(credentials) => credentials,
            Err(refused) => return Ok(Err(refused)),
        };
        let known = match &hello.resume {
            Some(token) => store.known_session(hash(token)).await?,
            None => None,
        };
        let standing = standing::of_hello(&self.links, &credentials, known.as_ref(), address).await?;
        if let (Some(token), Some(known)) = (&hello.resume, known) {
            let admission = admit(credentials.clone(), Some(&known), &standing, identities.anonymous(), now);
            match self.resume(token, known, &admission, address).await? {
                Some(found) => return Ok(found),
                // The token was used, or the session has ended meanwhile.
                None if matches!(admission, Admission::Resume { .. }) => {}
                None => return self.open(address, hello, admission).await,
            }
        }
        self.open(address, hello, admit(credentials, None, &standing, identities.anonymous(), now)).await
    }

    /// `None`: the session is not to be resumed, or cannot be any more.
    async fn resume(
        &self,
        token: &Secret,
        known: Known,
        how: &Admission,
        address: Address,
    ) -> Result<Option<Result<Found, Refused>>, StoreError> {
        let Admission::Resume { account, was } = how else { return Ok(None) };
        let Links { store, bus, .. } = &*self.links;
        let Identity { player: before, guest, .. } = known.identity;
        // Before its token is used.
        let place = match self.place(account.as_ref().map_or(&before.id, |account| &account.id), true) {
            Ok(place) => place,
            Err(refused) => return Ok(Some(Err(refused))),
        };
        let identity = account.as_ref().map(|account| {
            // A player's name stays with its session; a guest's was made up.
            let same = account.id == before.id;
            let name = if same { before.name.clone() } else { self.name_of(account, Some(&before.name)) };
            identity(account, name, was.clone().or(guest))
        });
        let by = Resuming { player: before.id, identity, address: Some(Network::of(address.ip())) };
        let next = next_token();
        let resumed = store.resume_session(hash(token), hash(&next), self.links.edge(), &by).await?;
        let Some(Resumed { session, identity, rooms, replaced }) = resumed else { return Ok(None) };
        if let Some(edge) = replaced {
            // The confirmation is not awaited: if the command is lost, that edge detects the loss of the session at
            // its next write.
            drop(bus.send_edge(&edge, EdgeCommand::Replaced { session }));
        }
        let (owed, recovered) = (self.sessions.debt(session), Some(rooms));
        let opened = Opened { owed, recovered, ..self.opened(session, identity, was.clone(), next) };
        Ok(Some(Ok((opened, place))))
    }

    async fn open(
        &self,
        address: Address,
        hello: &Hello,
        how: Admission,
    ) -> Result<Result<Found, Refused>, StoreError> {
        let given = match hello.name.as_deref().map(name::normalize) {
            Some(None) => return Ok(Err((CloseCode::Unauthorized, INVALID_NAME.into()))),
            Some(Some(name)) => Some(name),
            None => None,
        };
        let (identity, was) = match how {
            Admission::Refuse { code, reason } => return Ok(Err((code, reason))),
            Admission::OpenAccount { account, was } => {
                (identity(&account, self.name_of(&account, given.as_deref()), was.clone()), was)
            }
            Admission::OpenGuest(guest) => (Identity::guest(self.guest_player(guest, given)), None),
            Admission::Resume { .. } => unreachable!("it was decided without a session"),
        };
        let place = match self.place(&identity.player.id, false) {
            Ok(place) => place,
            Err(refused) => return Ok(Err(refused)),
        };
        if !self.admits(address) {
            self.links.metrics.count_refused(Limit::NewSessions);
            return Ok(Err((CloseCode::TooMany, "too many new sessions from your address: come again later".into())));
        }
        let (session, next) = (SessionId(u128::from_be_bytes(random())), next_token());
        let (edge, resume_hash) = (self.links.edge().clone(), hash(&next));
        let address = Some(Network::of(address.ip()));
        let row = SessionRow { id: session, identity: identity.clone(), edge, resume_hash, address };
        self.links.store.open_session(row, RoomId::LOBBY).await?;
        Ok(Ok((self.opened(session, identity, was, next), place)))
    }

    /// A place for one more connection of this player.
    fn place(&self, player: &Arc<str>, resumes: bool) -> Result<PlayerSlot, Refused> {
        PlayerSlot::take(&self.links, player, resumes).map_err(|TooManyConnections| {
            self.links.metrics.count_refused(Limit::Player);
            (CloseCode::TooMany, "this player has too many connections: close one, or come again later".into())
        })
    }

    /// A new session.
    fn opened(&self, session: SessionId, identity: Identity, was: Option<Arc<str>>, resume: Secret) -> Opened {
        let guest = self.links.identities.guest_token(&identity.player.id);
        Opened { session, identity, was, resume, guest, owed: 0, recovered: None }
    }

    /// The name of an account: its token's, or else the one that its client gives.
    fn name_of(&self, account: &Account, given: Option<&str>) -> Arc<str> {
        self.allowed(&account.id, name_of(account, given))
    }

    /// A guest that was here before, or a new one.
    fn guest_player(&self, guest: Option<GuestId>, given: Option<String>) -> Player {
        let id = guest.unwrap_or_else(|| GuestId(u128::from_be_bytes(random()))).player_id();
        let name = self.allowed(&id, given.unwrap_or_else(made_up).into());
        Player { id, name }
    }

    /// The name, or a neutral one in the place of one that nobody may have.
    fn allowed(&self, player_id: &str, name: Arc<str>) -> Arc<str> {
        match &self.links.options.blocks_name {
            Some(NameFilter(blocks)) if blocks(&name) => neutral(player_id).into(),
            _ => name,
        }
    }

    /// Whether this address may open one more session.
    fn admits(&self, address: Address) -> bool {
        let mut new_sessions = self.new_sessions.lock().expect("nobody panics while holding it");
        new_sessions.admit(address, self.links.now()).is_ok()
    }
}

fn next_token() -> Secret {
    hex::encode(random::<32>()).into()
}

/// The identity of an account, under this name, of a player who was this guest.
fn identity(account: &Account, name: Arc<str>, guest: Option<Arc<str>>) -> Identity {
    let Account { id, claims, expires, token_id, .. } = account;
    let player = Player { id: id.clone(), name };
    Identity { player, claims: claims.clone(), expires: Some(*expires), token_id: token_id.clone(), guest }
}

/// The name of an account: its token's, or else the one that its client gives.
fn name_of(account: &Account, given: Option<&str>) -> Arc<str> {
    let name = account.name.as_deref().and_then(name::fitted);
    name.or_else(|| given.map(str::to_owned)).unwrap_or_else(made_up).into()
}

fn made_up() -> String {
    let [number] = random::<1>();
    format!("Player {}", 100 + u16::from(number))
}

/// The same for each session of a player, and of no meaning.
fn neutral(player_id: &str) -> String {
    let Digest(hash) = Digest::of(player_id.as_bytes());
    format!("Player {}", 1_000 + u16::from_be_bytes([hash[0], hash[1]]) % 9_000)
}

#[cfg(test)]
mod tests {
    use chorus_core::ids::Time;

    use super::*;

    #[test]
    fn an_accounts_name_is_its_tokens_if_that_fits() {
        let name = |name: Option<&str>, given: Option<&str>| {
            let name = name.map(Into::into);
            let account =
                Account { id: "u:1".into(), name, claims: None, expires: Time(0), issued: None, token_id: None };
            name_of(&account, given).to_string()
        };
        assert_eq!(name(Some(" Ana "), Some("Bea")), "Ana");
        assert_eq!(name(Some(&"x".repeat(300)), None), "x".repeat(32));
        assert_eq!(name(Some("\u{202e}evil"), Some("Bea")), "Bea");
        assert!(name(None, None).starts_with("Player "));
    }
}
