//! Edges: the shell of `core::session` and of the edge's registry.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use chorus_core::{
    command::{EdgeCommand, Player},
    edge::{Delivery, Registry, Resumed, Resuming, StoredSession, for_each_session},
    frame::{CloseCode, Hello},
    identity::{Account, Admission, Credentials, Ending, GuestId, Identity, Known, Standing, admit},
    ids::{ConnectionId, MachineId, RoomId, SessionId, Time},
    placement::MachineState,
    secret::Secret,
    session::{Input, Limits, Opened, Output, Session, StoreWrite},
};

use crate::{
    Happened,
    dials::DIALS,
    event::{Event, Life, ToClient},
    network::Channel,
    world::{Role, World, life_of},
};

pub(crate) struct Edge {
    pub id: MachineId,
    registry: Registry<ConnectionId>,
    connections: BTreeMap<ConnectionId, Connection>,
    next: u32,
    draining: bool,
}

/// A client's connection.
struct Connection {
    session: Session,
    client: usize,
    link: u32,
    /// When its next tick is due, of those that are queued.
    tick: Option<Time>,
}

/// The account of a player's token, as `sim/src/player.rs` makes it.
fn account(token: &Secret, now: Time) -> Result<Account, (CloseCode, Cow<'static, str>)> {
    let (subject, end) = token.expose().split_once(' ').expect("a token of a simulated player");
    let expires = Time(end.parse().expect("its end"));
    match expires > now {
        true => {
            let id = format!("u:{subject}").into();
            Ok(Account { id, name: None, claims: None, expires, issued: None, token_id: None })
        }
        false => Err((CloseCode::Unauthorized, "the token has expired".into())),
    }
}

/// `guest`: whom the player was before.
fn identity(account: Account, guest: Option<Arc<str>>) -> Identity {
    let player = Player { id: account.id, name: "Ana".into() };
    Identity { claims: account.claims, expires: Some(account.expires), guest, ..Identity::guest(player) }
}

/// Nothing in a simulated cluster depends on the addresses of clients.
pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Edge {
    pub fn new(id: MachineId) -> Edge {
        Edge { registry: Registry::new(id.clone()), id, connections: BTreeMap::new(), next: 0, draining: false }
    }
}

impl World {
    fn edge(&mut self, life: Life) -> Option<&mut Edge> {
        match &mut self.machines.get_mut(&life)?.role {
            Role::Edge(edge) => Some(edge),
            _ => None,
        }
    }

    /// A new connection to this edge, if it accepts one.
    pub fn accept(&mut self, life: Life, client: usize, link: u32) -> Option<ConnectionId> {
        let (now, alive) = (self.now, self.machines.get(&life)?.alive);
        let edge = self.edge(life).filter(|edge| alive && !edge.draining)?;
        edge.next += 1;
        let connection = ConnectionId(edge.next);
        let limits = Limits { per_second: 1_000_000, burst: 1_000_000, ..Limits::default() };
        let session = Session::new(edge.id.clone(), connection, limits, now);
        edge.connections.insert(connection, Connection { session, client, link, tick: None });
        Some(connection)
    }

    pub fn edge_receives(&mut self, life: Life, command: EdgeCommand) {
        if let EdgeCommand::End(ending) = command {
            return self.edge_ends(life, &ending);
        }
        for_each_session(command, |session, delivery| self.deliver(life, session, delivery));
    }

    /// Ends sessions for an operator. A `hello` is answered at once here, so none is being handled.
    fn edge_ends(&mut self, life: Life, ending: &Ending) {
        let Some(edge) = self.edge(life) else { return };
        let is_for = |open: &Connection| open.session.is_among(&ending.of, ADDRESS);
        let ended: Vec<(ConnectionId, Option<SessionId>)> = edge
            .connections
            .iter()
            .filter(|(_, open)| is_for(open))
            .map(|(connection, open)| (*connection, open.session.id()))
            .collect();
        for (connection, session) in ended {
            self.kicks.extend(session);
            self.input(life, connection, Input::Command(EdgeCommand::End(ending.clone())));
        }
    }

    fn deliver(&mut self, life: Life, session: SessionId, delivery: Delivery<'_>) {
        let owner = self.store.sessions.get(&session).map(|row| row.edge().clone());
        let Some(edge) = self.edge(life) else { return };
        let Some(connection) = edge.registry.connection(session).copied() else { return };
        let input = match delivery {
            Delivery::Input(input) => input,
            Delivery::CheckOwner => edge.registry.ownership(session, owner.as_ref()),
        };
        self.input(life, connection, input);
    }

    pub fn input(&mut self, life: Life, connection: ConnectionId, input: Input<'_>) {
        let now = self.now;
        let Some(edge) = self.edge(life) else { return };
        let Some(open) = edge.connections.get_mut(&connection) else { return };
        let session = open.session.id();
        open.session.handle(input, now);
        let outputs: Vec<Output> = std::iter::from_fn(|| open.session.poll_output()).collect();
        let (over, client, link) = (open.session.is_ended(), open.client, open.link);
        let tick = open.session.poll_timeout().map(|due| due.max(now.plus(1)));
        let tick = tick.filter(|due| !over && open.tick.is_none_or(|queued| *due < queued));
        open.tick = tick.or(open.tick);
        if let (true, Some(session)) = (over, session) {
            edge.registry.release(session, &connection);
        }
        if let Some(due) = tick {
            self.at(due, Event::SessionTick(life, connection));
        }
        for output in outputs {
            self.carry_out_session(life, connection, (client, link), output);
        }
    }

    pub fn session_tick(&mut self, life: Life, connection: ConnectionId) {
        let now = self.now;
        // An earlier one may have taken its place.
        let is_due = |open: &&mut Connection| open.tick.is_some_and(|due| due <= now);
        let open = self.edge(life).and_then(|edge| edge.connections.get_mut(&connection));
        if let Some(open) = open.filter(is_due) {
            open.tick = None;
            self.input(life, connection, Input::Tick);
        }
    }

    fn carry_out_session(
        &mut self,
        life: Life,
        connection: ConnectionId,
        (client, link): (usize, u32),
        output: Output,
    ) {
        match output {
            Output::Send(frame) => self.send(life, client, link, ToClient::Frame(frame.into_text())),
            Output::Ping => self.send(life, client, link, ToClient::Ping),
            // Links of the simulator carry frames, not bytes, and no client is slowed.
            Output::Pause { .. } => {}
            Output::Close { code, .. } => self.send(life, client, link, ToClient::Close(code)),
            Output::Hello(hello) => {
                let ms = self.draw(DIALS.open);
                self.after(ms, Event::Opens(life, connection, hello));
            }
            Output::Renew(token) => {
                let ms = self.draw(DIALS.open);
                self.after(ms, Event::Renews(life, connection, token));
            }
            Output::Append { room, command, .. } => drop(self.append(life, room, command)),
            Output::Store(write) => {
                let at = self.arrival(life, Channel::Connection(connection.0));
                self.at(at, Event::Written(life, connection, write));
            }
        }
    }

    fn send(&mut self, life: Life, client: usize, link: u32, sent: ToClient) {
        let at = self.arrival(life, Channel::Client(client, link));
        self.at(at, Event::ToClient(life, client, link, sent));
    }

    // ---- the store ----

    pub fn opens(&mut self, life: Life, connection: ConnectionId, hello: &Hello) {
        let now = self.now;
        let Some(edge) = self.edge(life) else { return };
        // An edge reads everything that has arrived before it handles a `hello`, so it has noticed a client that has left.
        if edge.connections.get(&connection).is_none_or(|open| open.session.is_ended()) {
            return;
        }
        let account = match hello.token.as_ref().map(|token| account(token, now)).transpose() {
            Ok(account) => account,
            Err((code, reason)) => return self.input(life, connection, Input::NotOpened { code, reason }),
        };
        let token: Option<u64> = hello.resume.as_ref().and_then(|token| token.expose().parse().ok());
        let known = token.and_then(|token| self.store.sessions.iter().find(|(_, row)| row.has_token(&token)));
        let known = known.map(|(session, row)| (*session, row.known()));
        let credentials = Credentials { account, guest: None };
        let admission = admit(credentials, known.as_ref().map(|(_, known)| known), &Standing::default(), true, now);
        let opened = match admission {
            Admission::Refuse { code, reason } => {
                let happened = if code == CloseCode::Kicked { Happened::KickedHello } else { Happened::TokenEnded };
                self.count(happened);
                return self.input(life, connection, Input::NotOpened { code, reason });
            }
            Admission::Resume { account, was } => {
                let (session, known) = known.expect("it is resumed");
                let used = token.expect("the session was found by it");
                self.resume(life, (session, used, known), account, was)
            }
            Admission::OpenAccount { account, was } => self.open(life, identity(account, was.clone()), was),
            Admission::OpenGuest(guest) => {
                let guest = guest.unwrap_or(GuestId(self.next_session + 1));
                let player = Player { id: guest.player_id(), name: "Ana".into() };
                self.open(life, Identity::guest(player), None)
            }
        };
        self.opened(life, connection, opened);
    }

    fn open(&mut self, life: Life, identity: Identity, was: Option<Arc<str>>) -> Opened {
        self.next_token += 1;
        self.next_session += 1;
        let (session, resume) = (SessionId(self.next_session), self.next_token);
        let edge = self.edge(life).expect("it opens the session").id.clone();
        let row = StoredSession::open(edge, resume, RoomId::LOBBY, identity.clone());
        self.store.sessions.insert(session, row);
        let resume = resume.to_string().into();
        Opened { session, identity, was, resume, guest: None, owed: 0, recovered: None }
    }

    fn resume(
        &mut self,
        life: Life,
        (session, used, known): (SessionId, u64, Known),
        account: Option<Account>,
        was: Option<Arc<str>>,
    ) -> Opened {
        self.next_token += 1;
        let (next, edge) = (self.next_token, self.edge(life).expect("it resumes the session").id.clone());
        let guest = was.clone().or(known.identity.guest);
        let account = account.map(|account| identity(account, guest));
        let by = Resuming { player: known.identity.player.id, identity: account, address: None };
        if was.is_some() {
            self.count(Happened::Upgrade);
        }
        let row = self.store.sessions.get_mut(&session).expect("it was found");
        let Resumed { identity, rooms, replaced } = row.resume(&used, next, &edge, &by).expect("the token is valid");
        if let Some(before) = replaced {
            let before = life_of(&before);
            let at = self.arrival(life, Channel::Edge(before));
            self.at(at, Event::ToEdge(life, before, EdgeCommand::Replaced { session }));
        }
        let (resume, recovered) = (next.to_string().into(), Some(rooms));
        Opened { session, identity, was, resume, guest: None, owed: 0, recovered }
    }

    pub fn renews(&mut self, life: Life, connection: ConnectionId, token: &Secret) {
        let checked = account(token, self.now);
        if checked.is_ok() {
            self.count(Happened::Renewal);
        }
        self.input(life, connection, Input::Renewed(checked));
    }

    fn opened(&mut self, life: Life, connection: ConnectionId, opened: Opened) {
        let session = opened.session;
        let earlier = self.edge(life).and_then(|edge| edge.registry.assign(session, connection));
        if let Some(earlier) = earlier {
            self.input(life, earlier, Input::Replaced);
        }
        self.input(life, connection, Input::Opened(opened));
    }

    pub fn written(&mut self, life: Life, connection: ConnectionId, write: StoreWrite) {
        let Some(edge) = self.edge(life) else { return };
        let valid = edge.registry.still_valid(write.clone(), &connection);
        let late = valid.as_ref() != Some(&write);
        let id = edge.id.clone();
        if late {
            self.count(Happened::LateWrite);
        }
        let Some(write) = valid else { return };
        let sessions = &mut self.store.sessions;
        match write {
            StoreWrite::Move { session, left, room } => {
                let row = sessions.get_mut(&session);
                let done = row.is_some_and(|row| {
                    row.leave(left, &id);
                    row.join(room, &id)
                });
                self.input(life, connection, Input::Stored { room, done });
            }
            StoreWrite::Join(session, room) => {
                let done = sessions.get_mut(&session).is_some_and(|row| row.join(room, &id));
                self.input(life, connection, Input::Stored { room, done });
            }
            StoreWrite::Leave(session, room) => {
                sessions.get_mut(&session).into_iter().for_each(|row| row.leave(room, &id));
            }
            StoreWrite::Disconnected { session, .. } => {
                sessions.get_mut(&session).into_iter().for_each(|row| row.disconnect(&id));
            }
            StoreWrite::Renew { session, claims, expires, token_id } => {
                if let Some(row) = sessions.get_mut(&session) {
                    row.renew(claims, expires, token_id, &id);
                }
            }
            StoreWrite::Kick { session, .. } => sessions.get_mut(&session).into_iter().for_each(StoredSession::kick),
            StoreWrite::End(session) => drop(sessions.remove(&session)),
            StoreWrite::Confirm { session, token } => {
                let token = token.expose().parse().expect("a token of the simulated store");
                sessions.get_mut(&session).into_iter().for_each(|row| row.confirm(&token));
            }
        }
    }

    // ---- the end ----

    /// The answer to an edge's heartbeat. An edge that drains sends its clients away, and ends when they have gone.
    pub fn edge_refreshes(&mut self, life: Life, state: MachineState) {
        if state != MachineState::Draining {
            return;
        }
        let Some(edge) = self.edge(life) else { return };
        let is_new = !std::mem::replace(&mut edge.draining, true);
        let open: Vec<ConnectionId> = edge.connections.keys().copied().collect();
        if is_new {
            for connection in open {
                self.input(life, connection, Input::Drain);
            }
        } else if edge.connections.values().all(|open| open.session.is_ended()) {
            let id = edge.id.clone();
            self.store.close(&id);
            self.count(Happened::Drained);
            self.machines.get_mut(&life).expect("it was there").alive = false;
            let ms = self.draw(DIALS.restart);
            self.after(ms, Event::Restart(life));
        }
    }
}
