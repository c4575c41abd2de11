//! Bans and logouts.

use std::{net::IpAddr, time::Duration};

use chorus_core::{
    identity::{BanTarget, Standing},
    ids::RoomId,
};
use chorus_store::{Arrival, ExpiryCause, LoggedOut, NewBan, SessionFilter, Store};

use super::cast::*;

const AN_HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(1);

fn target(text: &str) -> BanTarget {
    text.parse().expect("a target")
}

fn new_ban(of: &str, reason: &str, lasts: Option<Duration>) -> NewBan {
    NewBan { target: target(of), reason: reason.into(), note: None, lasts }
}

fn arrival(players: &[&str], address: &str) -> Arrival {
    let players = players.iter().map(|id| (*id).into()).collect();
    let address: IpAddr = address.parse().expect("an address");
    Arrival { players, account: None, token_id: None, address }
}

async fn banned(store: &Store, players: &[&str], address: &str) -> Option<String> {
    let standing = store.standing(&arrival(players, address)).await.expect("answered");
    standing.banned.map(Into::into)
}

/// Waits for the end of what ends soon.
async fn until_deleted(store: &Store, rows: u64) {
    let mut deleted = 0;
    chorus_testing::until("the rows that have ended are deleted", async || {
        deleted += store.delete_ended_bans().await.expect("deleted");
        deleted >= rows
    })
    .await;
    assert_eq!(deleted, rows);
}

pub async fn a_ban_is_of_a_player_or_of_the_networks_around_an_address(store: Store) {
    assert_eq!(banned(&store, &["u:1"], "192.0.2.7").await, None);
    store.ban(&new_ban("u:1", "cheating", None)).await.expect("banned");
    store.ban(&new_ban("192.0.2.0/24", "a bot", Some(AN_HOUR))).await.expect("banned");
    store.ban(&new_ban("2001:db8::7", "a bot", None)).await.expect("banned");
    for (players, address, reason) in [
        (&["u:1"][..], "10.0.0.1", Some("cheating")),
        (&["u:2", "g:1", "u:1"], "10.0.0.1", Some("cheating")),
        (&["u:2"], "192.0.2.255", Some("a bot")),
        (&[], "::ffff:192.0.2.1", Some("a bot")),
        (&[], "2001:db8::ffff", Some("a bot")),
        (&["u:2", "u:11", "U:1"], "192.0.3.7", None),
        (&[], "2001:db8:0:1::7", None),
    ] {
        assert_eq!(banned(&store, players, address).await.as_deref(), reason, "{players:?} {address}");
    }
    assert!(store.unban(&target("u:1")).await.expect("lifted"));
    assert!(!store.unban(&target("u:1")).await.expect("answered"), "it is lifted");
    assert_eq!(banned(&store, &["u:1"], "10.0.0.1").await, None);
}

pub async fn bans_are_listed_in_pages_and_the_latest_of_a_target_counts(store: Store) {
    for of in ["u:2", "192.0.2.0/24", "g:1", "u:1"] {
        store.ban(&new_ban(of, "first", None)).await.expect("banned");
    }
    let again = NewBan { note: Some("see the log".into()), ..new_ban("u:1", "second", Some(AN_HOUR)) };
    let made = store.ban(&again).await.expect("banned");
    let (created, ends) = (made.created_at, made.ends_at.expect("it ends"));
    assert_eq!(ends.since(created), 3_600_000);

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.bans(after.as_ref(), 3).await.expect("read");
        let Some(last) = page.last() else { break };
        after = Some(last.target.clone());
        seen.extend(page);
    }
    let listed: Vec<(String, &str)> = seen.iter().map(|ban| (ban.target.to_string(), ban.reason.as_str())).collect();
    let expected = [("192.0.2.0/24", "first"), ("g:1", "first"), ("u:1", "second"), ("u:2", "first")];
    assert_eq!(listed, expected.map(|(of, reason)| (of.to_owned(), reason)));
    assert_eq!(seen[2], made);
    assert_eq!((seen[2].note.as_deref(), seen[3].ends_at), (Some("see the log"), None));
    assert_eq!(store.ban_of(&target("u:1")).await.expect("read"), Some(made));
    assert_eq!(store.ban_of(&target("u:3")).await.expect("read"), None);
}

pub async fn a_ban_ends_by_itself_and_is_deleted(store: Store) {
    store.ban(&new_ban("u:1", "cheating", Some(SOON))).await.expect("banned");
    store.ban(&new_ban("u:2", "cheating", Some(AN_HOUR))).await.expect("banned");
    store.log_out(&LoggedOut::Token("one".into()), SOON).await.expect("noted");
    until_deleted(&store, 2).await;
    assert_eq!(banned(&store, &["u:1"], "10.0.0.1").await, None);
    assert_eq!(store.bans(None, 10).await.expect("read").len(), 1);
    assert!(banned(&store, &["u:2"], "10.0.0.1").await.is_some());
}

pub async fn a_logout_is_of_a_players_tokens_or_of_one_token(store: Store) {
    let of = |account: &str, token: Option<&str>| Arrival {
        account: Some(account.into()),
        token_id: token.map(Into::into),
        ..arrival(&[account], "192.0.2.7")
    };
    let standing = async |of: Arrival| store.standing(&of).await.expect("answered");
    let before = store.clock().now();
    store.log_out(&LoggedOut::Player("u:1".into()), AN_HOUR).await.expect("noted");
    store.log_out(&LoggedOut::Token("one".into()), AN_HOUR).await.expect("noted");
    let out = standing(of("u:1", None)).await;
    let at = out.logged_out.expect("logged out");
    // The database's clock is not this process's.
    assert!(at.since(before) < 60_000 && before.since(at) < 60_000, "{before:?} {at:?}");
    assert!(!out.token_logged_out && out.banned.is_none());
    assert!(standing(of("u:1", Some("one"))).await.token_logged_out);
    assert_eq!(standing(of("u:2", Some("two"))).await, Standing::default());
    let resumes = arrival(&["u:1"], "192.0.2.7");
    assert_eq!(standing(resumes).await, Standing::default(), "it has shown no token");

    store.log_out(&LoggedOut::Player("u:1".into()), SOON).await.expect("noted");
    let again = standing(of("u:1", None)).await.logged_out.expect("a shorter one does not end the longer one");
    assert!(again >= at);
}

/// As after a logout: the player may sign in again at once.
pub async fn a_session_that_an_operator_expires_is_as_none_until_it_is_ended(store: Store) {
    open_ana(&store).await;
    assert!(store.join_membership(ANA, RoomId(2), &edge(1)).await.expect("joined"));
    for _ in 0..2 {
        assert_eq!(store.expire_session(ANA).await.expect("expired"), [LOBBY, RoomId(2)]);
    }
    assert_eq!(store.known_session(token(1)).await.expect("read"), None);
    assert!(!store.join_membership(ANA, RoomId(3), &edge(1)).await.expect("answered"));
    assert_eq!(store.player_sessions(&SessionFilter::All, None, 10).await.expect("read"), []);
    let listed = store.expire_sessions(AN_HOUR, AN_HOUR).await.expect("answered");
    assert_eq!(
        listed,
        [expired(ANA, &[LOBBY, RoomId(2)], ExpiryCause::LoggedOut)],
        "the operator's process may have died"
    );
    store.end_session(ANA).await.expect("ended");
    assert_eq!(store.expire_session(ANA).await.expect("answered"), []);
}

pub async fn a_session_is_found_by_its_player_the_guest_before_and_its_token(store: Store) {
    let mut row = session(ANA, &edge(1), token(1));
    row.identity.player.id = "u:1".into();
    (row.identity.guest, row.identity.token_id) = (Some("g:1".into()), Some("one".into()));
    row.address = Some("192.0.2.7".parse().expect("an address"));
    store.open_session(row.clone(), LOBBY).await.expect("opened");
    store.open_session(session(BEN, &edge(1), token(2)), LOBBY).await.expect("opened");
    let by = async |filter: SessionFilter| store.player_sessions(&filter, None, 10).await.expect("read");
    let player = |id: &str| SessionFilter::Player(id.into());
    let token_id = |id: &str| SessionFilter::Token(id.into());
    for (filter, found) in
        [(player("u:1"), 1), (player("g:1"), 1), (player("u:2"), 0), (token_id("one"), 1), (token_id("two"), 0)]
    {
        let sessions = by(filter.clone()).await;
        assert_eq!(sessions.len(), found, "{filter:?}");
        assert!(sessions.iter().all(|row| row.session == ANA));
    }
    let shown = by(player("u:1")).await.remove(0);
    assert_eq!((shown.guest.as_deref(), shown.address.as_deref()), (Some("g:1"), Some("192.0.2.7/32")));
    assert_eq!(store.known_session(token(1)).await.expect("read").map(|known| known.identity), Some(row.identity));

    let elsewhere = Some("2001:db8::7".parse().expect("an address"));
    let by_token = chorus_core::edge::Resuming { address: elsewhere, ..as_it_is(&store, token(1)).await };
    store.resume_session(token(1), token(3), &edge(2), &by_token).await.expect("answered").expect("resumed");
    let address = by(player("u:1")).await.remove(0).address;
    assert_eq!(address.as_deref(), Some("2001:db8::/64"));
    store.renew_session(ANA, None, chorus_core::ids::Time(5), Some("two".into()), &edge(2)).await.expect("renewed");
    assert_eq!((by(token_id("one")).await.len(), by(token_id("two")).await.len()), (0, 1));
}
