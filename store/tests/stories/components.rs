//! Components, versions and kinds.

use std::collections::HashSet;

use chorus_core::ids::{Digest, Time};
use chorus_store::Store;

use super::cast::*;

pub async fn versions_are_numbered_by_kind(store: Store) {
    let (game, chat) = (kind("tic-tac-toe"), kind("chat"));
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    assert_eq!(store.active(&game).await.expect("read"), None);
    assert_eq!(store.publish(&game, one, b"one").await.expect("published"), 1);
    assert_eq!(store.publish(&game, two, b"two").await.expect("published"), 2);
    assert_eq!(store.active(&game).await.expect("read"), Some(two));
    assert_eq!(store.publish(&game, one, b"one").await.expect("published again"), 1);
    assert_eq!(store.active(&game).await.expect("read"), Some(one));
    assert_eq!(store.publish(&chat, two, b"two").await.expect("two kinds may share one"), 1);

    assert_eq!(store.kinds().await.expect("listed"), [(chat, two, 1), (game, one, 1)]);
    assert_eq!(store.component(two).await.expect("read").as_deref(), Some(&b"two"[..]));
    assert_eq!(store.component(Digest::of(b"three")).await.expect("read"), None);
}

pub async fn a_version_waits_until_it_is_activated(store: Store) {
    let game = kind("tic-tac-toe");
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    assert_eq!(store.add_version(&game, one, b"one").await.expect("added"), 1);
    assert_eq!(store.active(&game).await.expect("read"), None);
    assert_eq!(store.kinds().await.expect("listed"), []);
    assert!(!store.set_active(&game, two).await.expect("answered"), "there is no such version");
    assert!(store.set_active(&game, one).await.expect("answered"));
    assert_eq!(store.add_version(&game, two, b"two").await.expect("added"), 2);
    assert_eq!(store.active(&game).await.expect("read"), Some(one));
    assert!(!store.set_active(&kind("chat"), two).await.expect("answered"), "it is another kind's");

    let versions = store.versions(&game).await.expect("listed");
    assert_eq!(versions.iter().map(|row| (row.version, row.digest)).collect::<Vec<_>>(), [(1, one), (2, two)]);
    assert!(versions.iter().all(|row| row.published_at > Time(1_600_000_000_000)), "milliseconds of this century");
}

pub async fn publishers_at_once_get_different_numbers(store: Store) {
    let all = (0..8_u8).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.publish(&kind("chat"), Digest::of(&[n]), &[n]).await.expect("published") })
    });
    let mut numbers = HashSet::new();
    for one in all.collect::<Vec<_>>() {
        numbers.insert(one.await.expect("no panic"));
    }
    assert_eq!(numbers, (1..=8).collect());
}
