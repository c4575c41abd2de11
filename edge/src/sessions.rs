//! The sessions that have a connection here. [`Registry`] decides, and [`Sessions`] carries out its decisions.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chorus_core::{
    command::EdgeCommand,
    edge::{Delivery, Registry, for_each_session},
    identity::{Ending, Endings, TooManyEndings},
    ids::SessionId,
    session::{Input, Opened, StoreWrite},
};
use tracing::Instrument as _;

use crate::{
    compute_debts::ComputeDebts,
    links::Links,
    session_handle::{Awaiting, SessionHandle, SessionOwner},
};

/// How soon the store is tried again, after its own retries, for as long as the connection is open.
const STORE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Its locks are never held while the lock of a handle is taken.
#[derive(Debug)]
pub(crate) struct Sessions {
    links: Arc<Links>,
    registry: Mutex<Registry<Arc<SessionHandle>>>,
    endings: Mutex<Endings>,
    debts: Mutex<ComputeDebts>,
}

impl Sessions {
    pub fn new(links: Arc<Links>) -> Sessions {
        let registry = Mutex::new(Registry::new(links.edge().clone()));
        Sessions { links, registry, endings: Mutex::default(), debts: Mutex::default() }
    }

    /// To be noted before anything about a `hello` is read from the store.
    pub fn endings_received(&self) -> u64 {
        self.endings().received()
    }

    /// Assigns an opened session to the handle, and notifies the handle that had the session. `noted`:
    /// [`Sessions::endings_received`] of before its rows were read.
    pub fn take_over(&self, handle: &Arc<SessionHandle>, opened: Opened, noted: u64) {
        let session = opened.session;
        let earlier = self.registry().assign(session, handle.clone());
        if let Some(earlier) = earlier {
            earlier.input(Input::Replaced);
        }
        let identity = opened.identity.clone();
        handle.input(Input::Opened(opened));
        // From here on an ending finds the session. It may have arrived before, when its rows were already read.
        match self.endings().since(noted, &identity, handle.address.ip()) {
            Ok(Some(ending)) => handle.input(Input::Command(EdgeCommand::End(ending))),
            Ok(None) => {}
            Err(TooManyEndings) => handle.input(Input::Unavailable),
        }
        if handle.session().is_none() {
            // The client left before the store answered, or with the first outputs.
            self.release(session, handle, handle.debt(self.links.now()));
        }
    }

    /// Hands a command to the handles of its sessions. Returns the number of sessions that it was for.
    pub fn deliver(self: &Arc<Self>, command: EdgeCommand) -> usize {
        if let EdgeCommand::End(ending) = command {
            return self.end(ending);
        }
        let mut sessions = 0;
        // Of the last session. Its socket's task is woken after all of the session's successive frames.
        let mut current: Option<(SessionId, Option<Awaiting>)> = None;
        for_each_session(command, |session, delivery| {
            sessions += 1;
            if current.as_ref().is_none_or(|(of, _)| *of != session) {
                current = Some((session, self.handle(session).map(Awaiting::new)));
            }
            let Some((_, Some(awaiting))) = &mut current else { return };
            match delivery {
                Delivery::Input(input) => awaiting.input(input),
                Delivery::CheckOwner => self.check_owner(session, awaiting.handle()),
            }
        });
        sessions
    }

    /// An operator ends sessions. Returns the number of those that are here.
    fn end(&self, ending: Ending) -> usize {
        self.endings().receive(ending.clone());
        let all: Vec<Arc<SessionHandle>> = self.registry().connections().cloned().collect();
        let ended: Vec<_> = all.into_iter().filter(|handle| handle.is_among(&ending.of)).collect();
        for handle in &ended {
            handle.input(Input::Command(EdgeCommand::End(ending.clone())));
        }
        if !ended.is_empty() {
            tracing::info!(of = ?ending.of, sessions = ended.len(), "an operator has ended sessions that are connected here");
        }
        ended.len()
    }

    /// Looks up which edge has the session, and notifies the handle. Ends when the handle no longer has the session.
    fn check_owner(self: &Arc<Self>, session: SessionId, handle: Arc<SessionHandle>) {
        let this = self.clone();
        let span = tracing::info_span!("check_owner", %session, connection = handle.connection.0);
        let check = async move {
            loop {
                match this.links.store.session_edge(session).await {
                    Ok(row) => {
                        let owner = row.map(|(edge, _)| edge);
                        let input = this.registry().ownership(session, owner.as_ref());
                        return handle.input(input);
                    }
                    Err(error) => tracing::warn!(%error, "the edge of a session cannot be looked up; trying again"),
                }
                tokio::time::sleep(STORE_RETRY_DELAY).await;
                if !this.registry().is_assigned(session, &handle) {
                    return;
                }
            }
        };
        tokio::spawn(check.instrument(span));
    }

    /// The debt of a session that resumes: that of its current connection, or of its last one.
    pub fn debt(&self, session: SessionId) -> u64 {
        let now = self.links.now();
        let left = self.debts().take(session, now, &self.links.options.limits);
        self.handle(session).map_or(left, |handle| handle.debt(now))
    }

    /// The number of sessions with a connection.
    pub fn count(&self) -> usize {
        self.registry().len()
    }

    fn handle(&self, session: SessionId) -> Option<Arc<SessionHandle>> {
        self.registry().connection(session).cloned()
    }

    fn registry(&self) -> MutexGuard<'_, Registry<Arc<SessionHandle>>> {
        self.registry.lock().expect("nobody panics while holding it")
    }

    fn endings(&self) -> MutexGuard<'_, Endings> {
        self.endings.lock().expect("nobody panics while holding it")
    }

    fn debts(&self) -> MutexGuard<'_, ComputeDebts> {
        self.debts.lock().expect("nobody panics while holding it")
    }
}

impl SessionOwner for Sessions {
    fn still_valid(&self, write: StoreWrite, handle: &Arc<SessionHandle>) -> Option<StoreWrite> {
        self.registry().still_valid(write, handle)
    }

    fn release(&self, session: SessionId, handle: &Arc<SessionHandle>, debt: u64) {
        let now = self.links.now();
        self.debts().keep(session, debt, now, &self.links.options.limits);
        self.registry().release(session, handle);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use chorus_bus::{Bus, embedded};
    use chorus_core::{
        command::Player,
        frame::{ClientFrame, CloseCode},
        identity::{Identity, MAX_ENDINGS, SessionsOf},
        ids::{ConnectionId, MachineId},
        session::Limits,
    };
    use chorus_store::{Durability, Store};
    use tempfile::TempDir;

    use super::*;
    use crate::{options::Options, tokens::Identities};

    const ANA: SessionId = SessionId(1);
    const OWED: u64 = 1_000_000;

    #[tokio::test]
    async fn the_debt_of_a_client_that_leaves_before_the_store_answers_is_kept() {
        let (_dir, sessions) = sessions().await;
        let connection = handle(&sessions, 1);
        connection.input(Input::Frame(ClientFrame::parse(r#"{"t":"hello","resume":"x"}"#)));
        connection.input(Input::Lost { code: CloseCode::ABNORMAL });
        sessions.take_over(&connection, resumed(OWED), 0);
        assert_eq!(sessions.count(), 0);
        // Time pays the rest off.
        assert!(sessions.debt(ANA) > OWED / 2);
    }

    fn ban_of(player: &str) -> EdgeCommand {
        let of = SessionsOf::Player(player.into());
        EdgeCommand::End(Ending { of, code: CloseCode::Kicked, reason: "cheating".into() })
    }

    #[tokio::test]
    async fn a_session_that_is_opened_while_an_operator_ends_it_ends_too() {
        let (_dir, sessions) = sessions().await;
        let of_hello = |connection| {
            let connection = handle(&sessions, connection);
            connection.input(Input::Frame(ClientFrame::parse(r#"{"t":"hello","resume":"x"}"#)));
            (connection, sessions.endings_received())
        };
        let (before, noted) = of_hello(1);
        assert_eq!(sessions.deliver(ban_of("p1")), 0, "its session is not open");
        sessions.take_over(&before, resumed(0), noted);
        assert_eq!((before.session(), sessions.count()), (None, 0));

        let (after, noted) = of_hello(2);
        sessions.take_over(&after, resumed(0), noted);
        assert_eq!((after.session(), sessions.count()), (Some(ANA), 1), "its rows were read after that");
        assert_eq!(sessions.deliver(ban_of("p2")), 0);
        assert_eq!(sessions.deliver(ban_of("p1")), 1);
        assert_eq!((after.session(), sessions.count()), (None, 0));
    }

    #[tokio::test]
    async fn a_client_during_whose_hello_too_many_sessions_are_ended_comes_again() {
        let (_dir, sessions) = sessions().await;
        let connection = handle(&sessions, 1);
        connection.input(Input::Frame(ClientFrame::parse(r#"{"t":"hello","resume":"x"}"#)));
        let noted = sessions.endings_received();
        for _ in 0..=MAX_ENDINGS {
            sessions.deliver(ban_of("p2"));
        }
        sessions.take_over(&connection, resumed(0), noted);
        assert_eq!((connection.session(), sessions.count()), (None, 0));
    }

    async fn sessions() -> (TempDir, Arc<Sessions>) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let bus: Bus = embedded::open(embedded::Options::new(dir.path())).await.expect("a bus");
        let store = Store::open_embedded(&dir.path().join("store.sqlite"), Durability::default()).await;
        let options = Options {
            limits: Limits { compute_ms: 1, ..Limits::default() },
            ..Options::new(MachineId("edge-1".into()), (Ipv4Addr::LOCALHOST, 0).into())
        };
        let sessions =
            Sessions::new(Arc::new(Links::new(options, bus, store.expect("a store"), Identities::default())));
        (dir, Arc::new(sessions))
    }

    fn handle(sessions: &Arc<Sessions>, connection: u32) -> Arc<SessionHandle> {
        let (connection, address) = (ConnectionId(connection), IpAddr::from(Ipv4Addr::LOCALHOST).into());
        Arc::new(SessionHandle::new(connection, address, sessions.links.clone(), sessions.clone()))
    }

    fn resumed(owed: u64) -> Opened {
        let player = Player { id: "p1".into(), name: "Ana".into() };
        let identity = Identity::guest(player);
        Opened {
            session: ANA,
            identity,
            was: None,
            resume: "token".into(),
            guest: None,
            owed,
            recovered: Some(Vec::new()),
        }
    }
}
