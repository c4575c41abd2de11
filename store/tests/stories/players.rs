//! Sessions by player, for operators.

use chorus_core::ids::{RoomId, SessionId};
use chorus_store::{SessionFilter, Store};

use super::cast::*;

pub async fn sessions_are_listed_by_player_in_pages(store: Store) {
    let one = |n: u128, player: &str| {
        let mut row = session(SessionId(n), &edge(1), token(n as u8));
        row.identity.player.id = player.into();
        row
    };
    // Upper case is before lower case, in the databases of every language.
    for (n, player) in [(4, "u:b"), (3, "u:a"), (5, "u:C"), (2, "u:a"), (1, "u:d")] {
        store.open_session(one(n, player), LOBBY).await.expect("opened");
    }
    assert!(store.join_membership(SessionId(2), RoomId(9), &edge(1)).await.expect("joined"));
    store.session_disconnected(SessionId(4), &edge(1), false).await.expect("noted");
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.player_sessions(&SessionFilter::default(), after, 2).await.expect("read");
        let Some(last) = page.last() else { break };
        after = Some((last.player.clone(), last.session));
        seen.extend(page.into_iter().map(|row| (row.player, row.session.0, row.connected, row.rooms.len())));
    }
    let expected =
        [("u:C", 5, true, 1), ("u:a", 2, true, 2), ("u:a", 3, true, 1), ("u:b", 4, false, 1), ("u:d", 1, true, 1)];
    assert_eq!(seen, expected.map(|(player, n, connected, rooms)| (player.to_owned(), n, connected, rooms)));

    let of_a = SessionFilter::Player("u:a".into());
    let of_a = store.player_sessions(&of_a, None, 10).await.expect("read");
    assert_eq!(of_a.iter().map(|row| row.session.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(of_a[0].rooms, [LOBBY, RoomId(9)]);
    assert!(of_a[0].created_at.0 > 1_600_000_000_000, "{:?}", of_a[0].created_at);

    store.kick_session(SessionId(2), "cheating").await.expect("kicked");
    store.end_session(SessionId(3)).await.expect("ended");
    let all = store.player_sessions(&SessionFilter::default(), None, 10).await.expect("read");
    assert_eq!(all.len(), 4);
    assert_eq!(all[1].kicked.as_deref(), Some("cheating"));
}
