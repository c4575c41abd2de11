//! The embedded store: the promises of every store, and damage to files.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chorus_core::{
    ids::{Digest, RoomId, Time},
    pairing::{DataId, Mark, StoreMark},
};
use chorus_store::{Clock, Durability, EmbeddedOptions, OpenError, Registration, Role, Store, StoreError};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

mod statements;
mod stories;

use stories::cast::*;

/// A store in a directory of its own.
struct Place {
    store: Store,
    dir: TempDir,
}

async fn fresh(_story: &str) -> Option<Place> {
    statements::record();
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path()).await.expect("a new store");
    Some(Place { store, dir })
}

impl Place {
    async fn leave(self) {
        // The story may have closed it.
        let _ = self.store.close().await;
        statements::assert_indexed(&self.dir.path().join("store.sqlite")).await;
    }
}

async fn open(dir: &Path) -> Result<Store, OpenError> {
    Store::open_embedded(&dir.join("store.sqlite"), Durability::Background).await
}

tell_all_stories!(fresh);

/// The content of the files at this moment is what a `kill -9` leaves.
fn killed(place: &Place) -> TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    for file in ["store.sqlite", "store.sqlite-wal"] {
        fs::copy(place.dir.path().join(file), copy.path().join(file)).expect("copied");
    }
    copy
}

#[tokio::test]
async fn what_has_resolved_is_there_after_a_kill() {
    let place = fresh("").await.expect("a store");
    let store = &place.store;
    with_partitions(store, 4).await;
    store.set_checkpoint(2, 7).await.expect("set");
    let edge = store.register_machine(&Registration::new(Role::Edge)).await.expect("registered").id;
    store.open_session(session(ANA, &edge, token(1)), LOBBY).await.expect("opened");
    store.join_membership(ANA, RoomId(5), &edge).await.expect("joined");
    store.write_rooms(vec![with_state(room(5, 9), "a board")]).await.expect("written");
    store.publish(&kind("chat"), Digest::of(b"chat"), b"chat").await.expect("published");
    let left = killed(&place);

    let store = open(left.path()).await.expect("opens again");
    assert_eq!(store.partitions(1).await.expect("read"), 4);
    assert_eq!(store.checkpoint(2).await.expect("read"), 7);
    assert_eq!(state_of(&store, 5).await, Some((9, "a board".into())));
    assert_eq!(store.active(&kind("chat")).await.expect("read"), Some(Digest::of(b"chat")));
    // The edge of the process that was killed is dead; its session is not.
    let next = store.register_machine(&Registration::new(Role::Edge)).await.expect("registered");
    assert_eq!(next.dead, std::slice::from_ref(&edge));
    assert_eq!(store.sessions_of_edge(&edge, None, 9).await.expect("read"), [(ANA, vec![LOBBY, RoomId(5)])]);
    assert!(!store.declare_dead(&edge, std::time::Duration::ZERO).await.expect("answered"), "it is not closed");
    store.close_machine(&edge).await.expect("closed");
    assert!(store.declare_dead(&edge, std::time::Duration::ZERO).await.expect("answered"));
    let back =
        store.resume_session(token(1), token(2), &next.id, &as_player(ANA)).await.expect("answered").expect("good");
    assert_eq!((back.rooms, back.replaced), (vec![LOBBY, RoomId(5)], None));
    let after = store.register_machine(&Registration::new(Role::Edge)).await.expect("registered");
    assert_eq!(after.dead, [next.id], "the closed one is not returned again");
}

#[tokio::test]
async fn a_thousand_sessions_at_once_open_and_survive_the_kill() {
    let place = fresh("").await.expect("a store");
    let all = (1..=1000_u32).map(|n| {
        let store = place.store.clone();
        tokio::spawn(async move {
            let mut hash = token(0);
            hash[..4].copy_from_slice(&n.to_be_bytes());
            let row = session(chorus_core::ids::SessionId(n.into()), &edge(1), hash);
            store.open_session(row, LOBBY).await.expect("opened");
        })
    });
    for one in all.collect::<Vec<_>>() {
        one.await.expect("no panic");
    }
    let store = open(killed(&place).path()).await.expect("opens again");
    assert_eq!(store.sessions_of_edge(&edge(1), None, 2000).await.expect("read").len(), 1000);
}

#[tokio::test]
async fn a_write_happens_even_if_nobody_waits_for_it() {
    let place = fresh("").await.expect("a store");
    let impatient = tokio::time::timeout(std::time::Duration::ZERO, open_ana(&place.store)).await;
    place.store.ping().await.expect("open");
    // The next write is behind it in the queue.
    place.store.end_session(BEN).await.expect("answered");
    assert!(place.store.session_edge(ANA).await.expect("read").is_some(), "{impatient:?}");
}

#[tokio::test]
async fn one_bad_write_does_not_hurt_its_neighbours() {
    let place = fresh("").await.expect("a store");
    let store = &place.store;
    open_ana(store).await;
    let same_token = || store.open_session(session(BEN, &edge(1), token(1)), LOBBY);
    let (bad, good, _) = tokio::join!(same_token(), store.set_checkpoint(0, 1), store.end_session(BEN));
    assert!(matches!(bad, Err(StoreError::Database { .. })), "{bad:?}");
    good.expect("its neighbour's mistake is not its own");
    assert_eq!(store.session_edge(BEN).await.expect("read"), None);
}

/// Runs SQL on the closed database in `dir`.
async fn tamper(dir: &Path, sql: &'static str) {
    let file = dir.join("store.sqlite");
    let mut db = SqliteConnection::connect(file.to_str().expect("a path")).await.expect("a database");
    sqlx::query(sql).execute(&mut db).await.expect("done");
    db.close().await.expect("closed");
}

async fn closed() -> TempDir {
    let Place { store, dir } = fresh("").await.expect("a store");
    open_ana(&store).await;
    store.close().await.expect("closed");
    dir
}

#[tokio::test]
async fn a_database_of_a_newer_chorus_is_refused_by_name() {
    let dir = closed().await;
    tamper(
        dir.path(),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'the future', true, x'00', 0)",
    )
    .await;
    let error = open(dir.path()).await.expect_err("newer");
    assert!(matches!(error, OpenError::Newer { migration: 99, .. }), "{error}");
    assert!(error.to_string().contains("store.sqlite"), "{error}");
}

#[tokio::test]
async fn a_database_of_another_build_is_refused_by_name() {
    let dir = closed().await;
    tamper(dir.path(), "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    let error = open(dir.path()).await.expect_err("changed");
    assert!(matches!(error, OpenError::Changed { migration: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let dir = closed().await;
    let file = dir.path().join("store.sqlite");
    let good = fs::read(&file).expect("read");
    // Its first page, a page in the middle, and a file of another kind.
    let mut head = good.clone();
    head[..16].fill(b'x');
    let mut middle = good.clone();
    let half = middle.len() / 2;
    middle[half..half + 4096].fill(0xa5);
    for damaged in [head, middle, b"not a database at all, but a text that is long enough for a header".repeat(20)] {
        fs::write(&file, &damaged).expect("written");
        let error = open(dir.path()).await.expect_err("damaged");
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(fs::read(&file).expect("read") == damaged, "nothing was changed");
    }
    fs::write(&file, good).expect("restored from a copy");
    open(dir.path()).await.expect("and it opens");
}

#[tokio::test]
async fn a_snapshot_that_was_changed_on_the_disk_is_not_given_out() {
    let Place { store, dir } = fresh("").await.expect("a store");
    store.write_rooms(vec![with_state(room(5, 9), "a board")]).await.expect("written");
    store.publish(&kind("chat"), Digest::of(b"chat"), b"chat").await.expect("published");
    store.close().await.expect("closed");
    tamper(dir.path(), "UPDATE snapshots SET state = x'00'; UPDATE components SET wasm = x'00'").await;
    let store = open(dir.path()).await.expect("opens");
    let error = store.snapshot(RoomId(5)).await.expect_err("changed");
    assert!(matches!(error, StoreError::Malformed { table: "snapshots", .. }), "{error}");
    let error = store.component(Digest::of(b"chat")).await.expect_err("changed");
    assert!(matches!(error, StoreError::Malformed { table: "components", .. }), "{error}");
}

#[tokio::test]
async fn a_write_ahead_log_that_is_gone_is_a_loss_and_named() {
    let place = fresh("").await.expect("a store");
    open_ana(&place.store).await;
    let left = killed(&place);
    let wal = left.path().join("store.sqlite-wal");
    let kept = fs::read(&wal).expect("read");
    type Lose = fn(&Path);
    let losses: [(&str, Lose); 3] = [
        ("gone", |wal| fs::remove_file(wal).expect("removed")),
        ("empty", |wal| fs::write(wal, "").expect("written")),
        ("without a commit", |wal| fs::File::options().write(true).open(wal).expect("there").set_len(32).expect("cut")),
    ];
    for (what, lose) in losses {
        lose(&wal);
        for attempt in 1..=2 {
            let error = open(left.path()).await.expect_err("commits are lost");
            assert!(matches!(error, OpenError::WalMissing { .. }), "{what}, {attempt}: {error}");
            let text = error.to_string();
            assert!(text.contains("store.sqlite-wal") && text.contains("--accept-loss"), "{text}");
        }
        fs::write(&wal, &kept).expect("restored");
    }
    let store = open(left.path()).await.expect("nothing was changed");
    assert!(store.session_edge(ANA).await.expect("read").is_some());

    let left = killed(&place);
    fs::remove_file(left.path().join("store.sqlite-wal")).expect("removed");
    let accepting = EmbeddedOptions { accept_loss: true, ..EmbeddedOptions::new(left.path().join("store.sqlite")) };
    let store = Store::open_embedded_with(accepting).await.expect("the loss is accepted");
    assert!(store.session_edge(ANA).await.expect("read").is_none());
    store.close().await.expect("closed");
    open(left.path()).await.expect("what was accepted once is over");
}

#[tokio::test]
async fn a_store_that_was_closed_needs_no_write_ahead_log() {
    let dir = closed().await;
    assert!(!dir.path().join("store.sqlite-wal").exists());
    let store = open(dir.path()).await.expect("opens");
    assert!(store.session_edge(ANA).await.expect("read").is_some());
}

#[tokio::test]
async fn a_store_that_nobody_closed_but_that_lost_nothing_needs_no_write_ahead_log() {
    let place = fresh("").await.expect("a store");
    open_ana(&place.store).await;
    let left = killed(&place);
    let wal = left.path().join("store.sqlite-wal");
    assert!(wal.exists(), "nobody closed it");
    // The last connection to close moves all commits into the file and deletes the log. Of two that close at once, each may find
    // the other's lock, and then neither does that: here is one alone.
    tamper(left.path(), "SELECT count(*) FROM data").await;
    assert!(!wal.exists(), "SQLite has deleted it");
    let store = open(left.path()).await.expect("opens");
    assert!(store.session_edge(ANA).await.expect("read").is_some());
}

#[tokio::test]
async fn a_write_ahead_log_that_is_gone_is_known_also_after_it_was_moved_into_the_database() {
    let place = fresh("").await.expect("a store");
    let wal = place.dir.path().join("store.sqlite-wal");
    let state = "x".repeat(1 << 20);
    let mut moved = 0;
    for n in 1..=40 {
        let before = fs::metadata(&wal).expect("there").len();
        place.store.write_rooms(vec![with_state(room(n, 1), &state)]).await.expect("written");
        moved += u32::from(fs::metadata(&wal).expect("there").len() < before);
    }
    assert!(moved >= 1, "40 MiB were written, and the log is {} bytes", fs::metadata(&wal).expect("there").len());
    let left = killed(&place);
    fs::remove_file(left.path().join("store.sqlite-wal")).expect("removed");
    assert!(matches!(open(left.path()).await, Err(OpenError::WalMissing { .. })));
    let whole = open(killed(&place).path()).await.expect("opens");
    assert_eq!(state_of(&whole, 40).await, Some((1, state)));
}

#[tokio::test]
async fn it_carries_the_mark_that_it_was_given() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path()).await.expect("opens");
    assert_eq!(store.mark().await.expect("read"), None);
    let mark = Mark { id: DataId(0xabc), life: 1 };
    for (mark, settled) in [(mark, false), (mark, true), (Mark { life: 2, ..mark }, false)] {
        store.set_mark(mark, settled).await.expect("written");
        assert_eq!(store.mark().await.expect("read"), Some(StoreMark { mark, settled }));
    }
    store.close().await.expect("closed");
    let store = open(dir.path()).await.expect("opens");
    assert_eq!(store.mark().await.expect("read").map(|store| store.mark), Some(Mark { life: 2, ..mark }));
}

#[tokio::test]
async fn its_files_are_for_their_owner_alone_and_links_are_not_followed() {
    let place = fresh("").await.expect("a store");
    open_ana(&place.store).await;
    let files = || ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"].map(|file| place.dir.path().join(file));
    for file in files() {
        let mode = fs::metadata(&file).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    let elsewhere = tempfile::tempdir().expect("a directory");
    let left = killed(&place);
    for name in ["store.sqlite", "store.sqlite-wal"] {
        let (file, target) = (left.path().join(name), elsewhere.path().join(name));
        fs::rename(&file, &target).expect("moved");
        std::os::unix::fs::symlink(&target, &file).expect("linked");
        let error = open(left.path()).await.expect_err("a link").to_string();
        assert!(error.contains("symbolic link") && error.contains(name), "{error}");
        fs::rename(&target, &file).expect("moved back");
    }
    open(left.path()).await.expect("opens");
}

#[tokio::test]
async fn its_clock_does_not_begin_before_the_latest_stored_time() {
    let dir = closed().await;
    // The clock of an earlier process was far ahead.
    tamper(dir.path(), "UPDATE data SET clock = 4102444800000").await;
    let store = open(dir.path()).await.expect("opens");
    let began = store.clock().now();
    assert!(began >= Time(4_102_444_800_000), "{began:?}");
    // Its writes are by that clock, and so is the next clock.
    store.close().await.expect("closed");
    let store = open(dir.path()).await.expect("opens");
    assert!(store.clock().now() >= began);
}

#[tokio::test]
async fn sessions_expire_by_the_processs_clock() {
    let dir = tempfile::tempdir().expect("a directory");
    let time = Arc::new(AtomicU64::new(1_000));
    let clock = Clock::of({
        let time = time.clone();
        move || Time(time.load(Ordering::Relaxed))
    });
    let options = EmbeddedOptions { clock: Some(clock), ..EmbeddedOptions::new(dir.path().join("store.sqlite")) };
    let store = Store::open_embedded_with(options).await.expect("opens");
    open_ana(&store).await;
    store.session_disconnected(ANA, &edge(1), false).await.expect("noted");
    let hour = Duration::from_secs(3600);
    assert_eq!(store.expire_sessions(hour, hour).await.expect("answered"), []);
    time.store(1_000 + 3_599_999, Ordering::Relaxed);
    assert_eq!(store.expire_sessions(hour, hour).await.expect("answered"), []);
    time.store(1_000 + 3_600_000, Ordering::Relaxed);
    assert_eq!(store.expire_sessions(hour, hour).await.expect("answered").len(), 1);
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let error = open(&dir.path().join("nowhere")).await.expect_err("no directory");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn with_fsync_always_it_is_the_same_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("store.sqlite");
    let store = Store::open_embedded(&file, Durability::Always).await.expect("opens");
    open_ana(&store).await;
    store.close().await.expect("closed");
    let store = open(dir.path()).await.expect("opens in the other mode");
    assert!(store.session_edge(ANA).await.expect("read").is_some());
}

/// A copy is made while writes go on, and is a store that was closed.
#[tokio::test]
async fn a_copy_has_what_was_written_before_it_and_needs_no_other_file() {
    let place = fresh("copy").await.expect("a place");
    let store = &place.store;
    let mark = Mark { id: DataId(7), life: 3 };
    store.set_mark(mark, true).await.expect("marked");
    store.partitions(1).await.expect("one");
    store.set_checkpoint(0, 41).await.expect("set");
    let to = tempfile::tempdir().expect("a directory");
    let path = to.path().join("store.sqlite");
    let (copied, later) = tokio::join!(store.copy_to(&path, || true), store.set_checkpoint(0, 42));
    copied.expect("copied");
    later.expect("a write during the copy");

    let found = chorus_store::check_copy(&path).await.expect("a copy");
    assert_eq!(found.mark, Some(StoreMark { mark, settled: true }));
    assert!([vec![41], vec![42]].contains(&found.checkpoints), "{found:?}");
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(to.path()).expect("a directory").count(), 1);
    let copy = open(to.path()).await.expect("no write-ahead log is missed");
    assert_eq!(copy.checkpoint(0).await.expect("read"), found.checkpoints[0]);
    copy.close().await.expect("closed");
    place.leave().await;
}

#[tokio::test]
async fn a_copy_that_ended_early_or_is_damaged_is_refused() {
    let place = fresh("copy").await.expect("a place");
    // More than the steps between two questions.
    for version in 0..200u8 {
        let wasm = vec![version; 100_000];
        place.store.publish(&kind("chess"), Digest::of(&wasm), &wasm).await.expect("published");
    }
    let path = place.dir.path().join("copy.sqlite");
    let ended = place.store.copy_to(&path, || false).await.expect_err("it was ended");
    assert!(matches!(ended, StoreError::CopyEnded), "{ended}");
    fs::remove_file(&path).expect("a part of it");
    place.store.copy_to(&path, || true).await.expect("the next one is made");
    let bytes = fs::read(&path).expect("a copy");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("cut");
    let damaged = chorus_store::check_copy(&path).await.expect_err("it is cut");
    assert!(damaged.to_string().contains("copy.sqlite"), "{damaged}");
    place.leave().await;
}
