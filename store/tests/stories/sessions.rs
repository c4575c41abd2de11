//! Sessions and the rooms they are in.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chorus_core::{
    command::Player,
    edge::{self, Resuming, StoredSession},
    identity::Identity,
    ids::{Digest, RoomId, SessionId, Time},
    json::Json,
};
use chorus_store::{ExpiryCause, Resumed, Store, StoreSecret};

use super::cast::*;

const AT_ONCE: Duration = Duration::ZERO;
const AN_HOUR: Duration = Duration::from_secs(3600);

async fn resume(store: &Store, old: u8, new: u8, at: u32) -> Option<Resumed> {
    let by = as_it_is(store, token(old)).await;
    store.resume_session(token(old), token(new), &edge(at), &by).await.expect("answered")
}

/// Why the session with this token was kicked.
async fn kicked(store: &Store, resume_hash: [u8; 32]) -> Option<String> {
    store.known_session(resume_hash).await.expect("answered").and_then(|known| known.kicked)
}

async fn rooms_of_ana(store: &Store) -> Vec<RoomId> {
    let sessions = store.sessions_of_edge(&edge(1), None, 10).await.expect("read");
    sessions.into_iter().find(|(session, _)| *session == ANA).expect("Ana is at edge-1").1
}

pub async fn a_session_comes_back_to_its_rooms_in_order(store: Store) {
    open_ana(&store).await;
    // Ids whose order is not the order of joining.
    for room in [9, 3, 7] {
        assert!(store.join_membership(ANA, RoomId(room), &edge(1)).await.expect("joined"));
    }
    store.leave_membership(ANA, RoomId(3), &edge(1)).await.expect("left");
    store.session_disconnected(ANA, &edge(1), false).await.expect("noted");

    let back = resume(&store, 1, 2, 1).await.expect("her token is good");
    assert_eq!((back.session, &*back.identity.player.name), (ANA, "Ana 🎲"));
    assert_eq!(back.rooms, [LOBBY, RoomId(9), RoomId(7)]);
    assert_eq!(back.replaced, None);
}

pub async fn a_token_is_good_once(store: Store) {
    open_ana(&store).await;
    assert!(resume(&store, 1, 2, 1).await.is_some());
    store.confirm_resume(ANA, token(2)).await.expect("confirmed");

    assert_eq!(resume(&store, 1, 3, 1).await, None, "it was used, and the next one has arrived");
    assert!(resume(&store, 2, 3, 1).await.is_some());
    store.end_session(ANA).await.expect("ended");
    assert_eq!(resume(&store, 3, 4, 1).await, None, "the session is over");
    assert_eq!(resume(&store, 9, 4, 1).await, None, "nobody's");
}

pub async fn a_lost_welcome_locks_nobody_out(store: Store) {
    open_ana(&store).await;
    // The answers that carry tokens 2 and 3 are lost.
    assert!(resume(&store, 1, 2, 1).await.is_some());
    assert!(resume(&store, 1, 3, 1).await.is_some());
    assert!(resume(&store, 1, 4, 1).await.is_some());
    assert_eq!(resume(&store, 2, 9, 1).await, None, "nobody ever had it");
    // Token 4 arrives and is used: the token two before it is no longer valid.
    assert!(resume(&store, 4, 5, 1).await.is_some());
    assert_eq!(resume(&store, 1, 6, 1).await, None);
}

/// An edge that stalled resumes work, and handles the `hello` of a client that has resumed at another edge since.
pub async fn a_token_that_was_overtaken_by_the_one_before_it_is_still_good(store: Store) {
    open_ana(&store).await;
    assert!(resume(&store, 1, 2, 2).await.is_some(), "the client's way");
    assert!(resume(&store, 1, 3, 1).await.is_some(), "the edge's that stood still");
    assert!(resume(&store, 1, 3, 1).await.is_some(), "as often as it takes");
    let back = resume(&store, 2, 4, 2).await.expect("it is what the client has");
    assert_eq!(back.replaced, Some(edge(1)));
    assert_eq!(resume(&store, 1, 9, 1).await, None, "used, and so is the next one");
    assert_eq!(resume(&store, 3, 9, 1).await, None, "nobody ever had it");

    assert!(resume(&store, 2, 5, 1).await.is_some());
    store.confirm_resume(ANA, token(5)).await.expect("confirmed");
    assert_eq!(resume(&store, 4, 9, 1).await, None, "the one after it has arrived");
}

pub async fn a_repeated_resume_has_the_same_answer(store: Store) {
    open_ana(&store).await;
    let first = resume(&store, 1, 2, 2).await.expect("good");
    assert_eq!(first.replaced, Some(edge(1)));
    // The same call again, since its answer was lost between the database and the edge.
    assert_eq!(resume(&store, 1, 2, 2).await, Some(first));
    assert!(resume(&store, 2, 3, 2).await.is_some(), "and the token is what it was");
}

pub async fn of_many_resumes_at_once_one_token_is_left(store: Store) {
    open_ana(&store).await;
    let all = (10..26).map(|new| {
        let store = store.clone();
        tokio::spawn(async move { resume(&store, 1, new, u32::from(new)).await.expect("not confirmed yet").replaced })
    });
    let mut replaced = Vec::new();
    for one in all.collect::<Vec<_>>() {
        replaced.push(one.await.expect("no panic").expect("somebody had her before"));
    }
    let (last, connected) = store.session_edge(ANA).await.expect("read").expect("there");
    assert!(connected);
    // Each replaced another, in a chain: all but the last one were replaced.
    let mut chain: HashSet<_> = (10..26).map(edge).chain([edge(1)]).collect();
    replaced.iter().for_each(|edge| assert!(chain.remove(edge), "{edge} was replaced twice"));
    assert_eq!(chain.into_iter().collect::<Vec<_>>(), std::slice::from_ref(&last));

    let last_token = (10..26).find(|n| edge((*n).into()) == last).expect("one of them");
    store.confirm_resume(ANA, token(last_token)).await.expect("confirmed");
    let mut good = Vec::new();
    for n in (10..26).chain([1]) {
        if resume(&store, n, 100 + n, 1).await.is_some() {
            good.push(edge(n.into()));
            store.confirm_resume(ANA, token(100 + n)).await.expect("confirmed");
        }
    }
    assert_eq!(good, [last]);
}

pub async fn the_edge_that_still_had_a_session_is_named(store: Store) {
    open_ana(&store).await;
    assert_eq!(resume(&store, 1, 2, 2).await.expect("good").replaced, Some(edge(1)), "two edges have her");
    assert_eq!(
        resume(&store, 2, 3, 2).await.expect("good").replaced,
        None,
        "the same edge is not notified of its own resume"
    );
    store.session_disconnected(ANA, &edge(2), false).await.expect("noted");
    assert_eq!(store.session_edge(ANA).await.expect("read"), Some((edge(2), false)));
    assert_eq!(resume(&store, 3, 4, 1).await.expect("good").replaced, None, "nobody has her");
    assert_eq!(store.session_edge(ANA).await.expect("read"), Some((edge(1), true)));
    assert_eq!(store.session_edge(BEN).await.expect("read"), None);
}

pub async fn an_older_edge_changes_nothing_any_more(store: Store) {
    open_ana(&store).await;
    resume(&store, 1, 2, 2).await.expect("she is at edge-2");

    store.session_disconnected(ANA, &edge(1), false).await.expect("answered");
    assert_eq!(store.session_edge(ANA).await.expect("read"), Some((edge(2), true)));
    store.confirm_resume(ANA, token(1)).await.expect("answered");
    assert!(resume(&store, 1, 3, 2).await.is_some(), "token 2 may be lost, and edge-1 has no way to find out");
    assert!(!store.join_membership(ANA, RoomId(5), &edge(1)).await.expect("answered"));
    assert_eq!(resume(&store, 3, 4, 2).await.expect("good").rooms, [LOBBY]);
}

/// In either order: the resume includes the room, or the join is refused. Both together would lose a room; neither would put
/// the session into a room that is unknown to its edge.
pub async fn a_join_and_a_resume_elsewhere_never_miss_each_other(store: Store) {
    for n in 0..30_u8 {
        let id = SessionId(u128::from(n) + 1);
        store.open_session(session(id, &edge(1), token(n)), LOBBY).await.expect("opened");
        let (joiner, resumer) = (store.clone(), store.clone());
        let join =
            tokio::spawn(async move { joiner.join_membership(id, RoomId(5), &edge(1)).await.expect("answered") });
        let resume = tokio::spawn(async move { resume(&resumer, n, n + 100, 2).await.expect("good") });
        let (joined, resumed) = (join.await.expect("no panic"), resume.await.expect("no panic"));
        assert_eq!(joined, resumed.rooms.contains(&RoomId(5)), "of {id}");
    }
}

/// An edge that stalled for longer than its lease continues, and has yet to report that the session has left a room. Meanwhile
/// the session has joined that room again at another edge.
pub async fn an_edge_that_a_session_has_left_takes_no_room_from_it(store: Store) {
    open_ana(&store).await;
    resume(&store, 1, 2, 2).await.expect("her token is good");
    assert!(store.join_membership(ANA, RoomId(2), &edge(2)).await.expect("joined"));
    store.leave_membership(ANA, RoomId(2), &edge(1)).await.expect("ignored");
    store.leave_membership(ANA, LOBBY, &edge(2)).await.expect("left");
    assert_eq!(resume(&store, 2, 3, 1).await.expect("her token is good").rooms, [RoomId(2)]);
}

pub async fn memberships_are_a_set_in_the_order_of_joining(store: Store) {
    open_ana(&store).await;
    open_ana(&store).await;
    for room in [2, 1, 2] {
        assert!(store.join_membership(ANA, RoomId(room), &edge(1)).await.expect("joined"));
    }
    assert_eq!(rooms_of_ana(&store).await, [LOBBY, RoomId(2), RoomId(1)]);
    store.leave_membership(ANA, RoomId(2), &edge(1)).await.expect("left");
    store.leave_membership(ANA, RoomId(2), &edge(1)).await.expect("left again");
    assert!(store.join_membership(ANA, RoomId(2), &edge(1)).await.expect("joined"));
    assert_eq!(rooms_of_ana(&store).await, [LOBBY, RoomId(1), RoomId(2)]);

    let moved = async |left, room, at| {
        store.move_membership(ANA, RoomId(left), RoomId(room), &edge(at)).await.expect("answered")
    };
    assert!(moved(1, 4, 1).await);
    assert_eq!(rooms_of_ana(&store).await, [LOBBY, RoomId(2), RoomId(4)]);
    assert!(moved(2, 2, 1).await, "left, and joined again");
    assert_eq!(rooms_of_ana(&store).await, [LOBBY, RoomId(4), RoomId(2)]);
    assert!(moved(9, 4, 1).await, "a member of one, and not of the other");
    assert!(!moved(4, 5, 2).await, "the session is not at that edge");
    assert_eq!(rooms_of_ana(&store).await, [LOBBY, RoomId(4), RoomId(2)]);

    store.end_session(ANA).await.expect("ended");
    store.end_session(ANA).await.expect("ended again");
    assert!(!store.join_membership(ANA, RoomId(3), &edge(1)).await.expect("answered"), "her session has ended");
    assert!(!moved(2, 3, 1).await, "her session has ended");
}

/// She has no connection, or has resumed at another edge a moment ago: a kick ends the session, not a connection.
pub async fn a_session_that_is_kicked_cannot_be_resumed_and_says_why_until_it_expires(store: Store) {
    open_ana(&store).await;
    resume(&store, 1, 2, 2).await.expect("her token is good");
    assert!(store.join_membership(ANA, RoomId(2), &edge(2)).await.expect("joined"));
    assert_eq!(kicked(&store, token(2)).await, None);
    assert_eq!(store.kick_session(ANA, "cheating").await.expect("kicked"), [LOBBY, RoomId(2)]);
    assert_eq!(
        store.kick_session(ANA, "again").await.expect("kicked"),
        [LOBBY, RoomId(2)],
        "the rooms may not have been notified yet"
    );
    for good in [1, 2] {
        assert!(resume(&store, good, 3, 1).await.is_none(), "token {good}");
        assert_eq!(kicked(&store, token(good)).await.as_deref(), Some("cheating"));
    }
    assert_eq!(kicked(&store, token(9)).await, None);
    assert!(!store.join_membership(ANA, RoomId(3), &edge(2)).await.expect("answered"), "no room takes her");
    assert_eq!(store.expire_sessions(AN_HOUR, AN_HOUR).await.expect("answered"), []);
    let expired = [expired(ANA, &[LOBBY, RoomId(2)], ExpiryCause::Kicked)];
    assert_eq!(
        store.expire_sessions(AT_ONCE, AT_ONCE).await.expect("answered"),
        expired,
        "though no edge has reported its end"
    );
    store.end_session(ANA).await.expect("ended");
    assert_eq!(kicked(&store, token(2)).await, None);
    assert_eq!(store.kick_session(ANA, "late").await.expect("answered"), []);
}

pub async fn a_dead_edges_sessions_come_in_pages(store: Store) {
    for n in 1..=5_u8 {
        let id = SessionId(u128::from(n));
        store.open_session(session(id, &edge(1), token(n)), LOBBY).await.expect("opened");
    }
    store.join_membership(SessionId(2), RoomId(7), &edge(1)).await.expect("joined");
    store.leave_membership(SessionId(3), LOBBY, &edge(1)).await.expect("left");
    resume(&store, 4, 14, 2).await.expect("session 4 is at edge-2");

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.sessions_of_edge(&edge(1), after, 2).await.expect("read");
        assert!(page.len() <= 2);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page);
    }
    let expected = [(1, vec![LOBBY]), (2, vec![LOBBY, RoomId(7)]), (3, vec![]), (5, vec![LOBBY])];
    assert_eq!(seen, expected.map(|(id, rooms)| (SessionId(id), rooms)));
}

pub async fn sessions_expire_and_come_again_until_they_are_ended(store: Store) {
    open_ana(&store).await;
    store.open_session(session(BEN, &edge(1), token(2)), LOBBY).await.expect("opened");
    assert_eq!(store.expire_sessions(AT_ONCE, AT_ONCE).await.expect("answered"), [], "all are connected");

    store.session_disconnected(ANA, &edge(1), false).await.expect("noted");
    assert_eq!(store.expire_sessions(AN_HOUR, AN_HOUR).await.expect("answered"), [], "she has just gone");
    assert_eq!(store.expire_sessions(Duration::MAX, Duration::MAX).await.expect("answered"), []);
    let expired = [expired(ANA, &[LOBBY], ExpiryCause::Disconnected)];
    assert_eq!(store.expire_sessions(AT_ONCE, AT_ONCE).await.expect("answered"), expired);

    assert_eq!(resume(&store, 1, 3, 1).await, None, "too late");
    assert!(!store.join_membership(ANA, RoomId(3), &edge(1)).await.expect("answered"));
    assert_eq!(
        store.expire_sessions(AN_HOUR, AN_HOUR).await.expect("answered"),
        expired,
        "the first monitor may be dead"
    );
    store.end_session(ANA).await.expect("ended");
    assert_eq!(store.expire_sessions(AT_ONCE, AT_ONCE).await.expect("answered"), []);
    assert!(resume(&store, 2, 4, 1).await.is_some(), "Ben is still there");
}

pub async fn a_silent_session_expires_sooner_unless_it_comes_back_or_was_kicked(store: Store) {
    let (cai, dan) = (SessionId(0xca1), SessionId(0xda7));
    for (who, its) in [(ANA, 1), (BEN, 2), (cai, 3), (dan, 4)] {
        store.open_session(session(who, &edge(1), token(its)), LOBBY).await.expect("opened");
    }
    store.session_disconnected(ANA, &edge(1), true).await.expect("noted");
    store.session_disconnected(BEN, &edge(1), false).await.expect("noted");
    for who in [cai, dan] {
        store.session_disconnected(who, &edge(1), true).await.expect("noted");
    }
    assert_eq!(store.expire_sessions(AN_HOUR, AN_HOUR).await.expect("answered"), [], "they have just gone");
    assert!(resume(&store, 3, 13, 1).await.is_some(), "it may come back until then");
    assert_eq!(store.kick_session(dan, "cheating").await.expect("kicked"), [LOBBY]);

    let expired = [expired(ANA, &[LOBBY], ExpiryCause::Disconnected)];
    assert_eq!(store.expire_sessions(AN_HOUR, AT_ONCE).await.expect("answered"), expired);
    assert_eq!(resume(&store, 1, 11, 1).await, None, "too late");
    store.end_session(ANA).await.expect("ended");
    assert_eq!(kicked(&store, token(4)).await.as_deref(), Some("cheating"));

    // It has resumed once: inactivity from then on does not make it silent again.
    store.session_disconnected(cai, &edge(1), false).await.expect("noted");
    assert_eq!(store.expire_sessions(AN_HOUR, AT_ONCE).await.expect("answered"), []);
    assert!(resume(&store, 13, 14, 1).await.is_some());
}

/// The rules of a session's row are written twice: in SQL, and in the machine that the simulator runs in place of a store. Every
/// session goes through the same 32 steps in both, drawn from a hash of its number.
pub async fn a_row_changes_as_its_machine_does(store: Store) {
    let (mut resumes, mut refusals, mut kicks) = (0, 0, 0);
    for n in 0..24_u8 {
        let mut both = Both::open(&store, n).await;
        for step in Digest::of(&[n]).0 {
            let (at, number) = (1 + u32::from(step & 1), step >> 4);
            match step >> 1 & 7 {
                0..=2 if both.resume(number, at).await => resumes += 1,
                0..=2 => refusals += 1,
                3 => both.confirm(number).await,
                4 => both.join(number, at).await,
                5 => both.leave(number, at).await,
                6 => both.disconnect(at).await,
                _ if number > 8 => both.renew(number, at).await,
                _ if number > 1 => {}
                _ => {
                    kicks += 1;
                    both.kick().await;
                }
            }
            both.check().await;
        }
    }
    assert!(resumes > 50 && refusals > 50 && kicks > 10, "{resumes} resumes, {refusals} refusals, {kicks} kicks");
}

/// A session in the store, and as the machine.
struct Both<'a> {
    store: &'a Store,
    id: SessionId,
    machine: StoredSession<[u8; 32]>,
    /// The number of tokens that the session has been given.
    tokens: u8,
}

impl Both<'_> {
    async fn open(store: &Store, n: u8) -> Both<'_> {
        let id = SessionId(u128::from(n) + 1);
        let first = Both::token(id, 0);
        let row = session(id, &edge(1), first);
        store.open_session(row.clone(), LOBBY).await.expect("opened");
        Both { store, id, machine: StoredSession::open(edge(1), first, LOBBY, row.identity), tokens: 1 }
    }

    fn token(id: SessionId, n: u8) -> [u8; 32] {
        Digest::of(format!("{id} {n}").as_bytes()).0
    }

    fn room(number: u8) -> RoomId {
        [LOBBY, RoomId(2), RoomId(3)][usize::from(number % 3)]
    }

    /// Resumes by one of the latest four tokens; twice in half of the cases, as after a lost answer. Returns whether the token
    /// was valid.
    async fn resume(&mut self, number: u8, at: u32) -> bool {
        let used = Both::token(self.id, self.tokens.saturating_sub(1 + number % 4));
        let next = Both::token(self.id, self.tokens);
        self.tokens += 1;
        let by = self.resuming(number);
        let mut resumed = None;
        for _ in 0..=number / 8 {
            resumed = self.machine.resume(&used, next, &edge(at), &by);
            let stored = self.store.resume_session(used, next, &edge(at), &by).await.expect("asked");
            let stored =
                stored.map(|it| edge::Resumed { identity: it.identity, rooms: it.rooms, replaced: it.replaced });
            assert_eq!(stored, resumed);
        }
        let known = self.store.known_session(used).await.expect("asked");
        let (is_known, is_kicked) = (self.machine.has_token(&used), self.machine.is_kicked());
        assert_eq!(known.as_ref().map(|known| &known.identity), is_known.then(|| self.machine.identity()));
        assert_eq!(known.is_some_and(|known| known.kicked.is_some()), is_known && is_kicked);
        resumed.is_some()
    }

    /// Without a token, with one, or for a player whom the session has no longer.
    fn resuming(&self, number: u8) -> Resuming {
        let before = self.machine.identity();
        let player = if number == 5 { "another".into() } else { before.player.id.clone() };
        let account = Player { id: format!("u:{number}").into(), name: "Ben".into() };
        let claims = (number > 3).then(|| Json::trusted("{}"));
        let expires = Some(Time(u64::from(number)));
        let [token_id, guest] = [2, 4].map(|bit| (number & bit != 0).then(|| format!("id-{number}").into()));
        let identity = Identity { player: account, claims, expires, token_id, guest };
        Resuming { player, identity: (number & 1 == 1).then_some(identity), address: None }
    }

    async fn renew(&mut self, number: u8, at: u32) {
        let (claims, expires) = (Some(Json::trusted("[]")), Time(u64::from(number)));
        let token_id: Option<Arc<str>> = (number > 11).then(|| format!("id-{number}").into());
        self.machine.renew(claims.clone(), expires, token_id.clone(), &edge(at));
        self.store.renew_session(self.id, claims, expires, token_id, &edge(at)).await.expect("renewed");
    }

    /// The latest token, or one before it.
    async fn confirm(&mut self, number: u8) {
        let token = Both::token(self.id, self.tokens.saturating_sub(1 + number % 2));
        self.machine.confirm(&token);
        self.store.confirm_resume(self.id, token).await.expect("confirmed");
    }

    async fn join(&mut self, number: u8, at: u32) {
        let (room, edge) = (Both::room(number), edge(at));
        let joined = self.store.join_membership(self.id, room, &edge).await.expect("asked");
        assert_eq!(joined, self.machine.join(room, &edge));
    }

    async fn leave(&mut self, number: u8, at: u32) {
        let (room, edge) = (Both::room(number), edge(at));
        self.machine.leave(room, &edge);
        self.store.leave_membership(self.id, room, &edge).await.expect("asked");
    }

    async fn disconnect(&mut self, at: u32) {
        self.machine.disconnect(&edge(at));
        self.store.session_disconnected(self.id, &edge(at), false).await.expect("asked");
    }

    async fn kick(&mut self) {
        self.machine.kick();
        assert_eq!(self.store.kick_session(self.id, "cheating").await.expect("kicked"), self.machine.rooms());
    }

    async fn check(&self) {
        let row = (self.machine.edge().clone(), self.machine.is_connected());
        assert_eq!(self.store.session_edge(self.id).await.expect("read"), Some(row));
        let after = Some(SessionId(self.id.0 - 1));
        let rooms = self.store.sessions_of_edge(self.machine.edge(), after, 1).await.expect("read");
        assert_eq!(rooms, [(self.id, self.machine.rooms().to_vec())]);
    }
}

pub async fn a_secret_is_drawn_once(store: Store) {
    let drawn = |byte| StoreSecret([byte; 32]);
    assert_eq!(store.secret("guests", drawn(1)).await.expect("answered"), drawn(1));
    assert_eq!(store.secret("guests", drawn(2)).await.expect("answered"), drawn(1));
    assert_eq!(store.secret("others", drawn(2)).await.expect("answered"), drawn(2));
}
