//! Copies of a log that is used.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use chorus_bus::{
    Bus, CopyError, Durability,
    embedded::{self, Options},
};
use chorus_testing::soon;

use crate::{
    files::{Files, flip},
    suite::*,
};

#[tokio::test]
async fn a_copy_has_all_that_was_confirmed_before_it_and_is_opened_as_a_log() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    append_all(&bus, 0..200).await;
    let to = tempfile::tempdir().unwrap();
    let hold = bus.hold_truncation().await.unwrap();
    // Records that arrive during the copy are in it whole, or not at all.
    let (copied, ()) = tokio::join!(soon(hold.copy_to(to.path().into(), |_| true)), append_all(&bus, 200..400));
    let copied = copied.unwrap();
    let partition = of(&bus, ROOM);
    let (start, end) = copied.partitions[partition as usize];
    assert!(start == 0 && (200..=400).contains(&end), "{copied:?}");
    assert_eq!(embedded::check_copy(to.path(), 2).unwrap(), copied);
    soon(bus.close()).await.unwrap();

    let copy = embedded::open(Options { dir: to.path().into(), ..files.options() }).await.unwrap();
    assert_eq!(copy.end(partition).await.unwrap(), end);
    let read = read(&mut copy.read(partition, 0), end as usize).await;
    assert!(numbers(&read).into_iter().eq(0..end));
    assert_eq!(soon(copy.append(&message(ROOM, 7))).await.unwrap(), Some(end), "it goes on from there");
}

#[tokio::test]
async fn nothing_is_deleted_while_it_is_held_and_a_failed_copy_releases_it() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    for n in 0..6 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    let partition = of(&bus, ROOM);
    let start = async |bus: &Bus| bus.start(partition).await.unwrap();
    let (first, second) = (bus.hold_truncation().await.unwrap(), bus.hold_truncation().await.unwrap());
    bus.truncate(partition, 5).await.unwrap();
    assert_eq!(start(&bus).await, 0, "two hold it");
    drop(second);
    bus.truncate(partition, 5).await.unwrap();
    assert_eq!(start(&bus).await, 0, "one still holds it");

    // The copy is ended in its middle.
    let to = tempfile::tempdir().unwrap();
    let left = AtomicU64::new(2);
    let error = soon(first.copy_to(to.path().into(), move |_| left.fetch_sub(1, Ordering::Relaxed) > 1)).await;
    assert!(matches!(error, Err(CopyError::Ended)), "{error:?}");
    bus.truncate(partition, 5).await.unwrap();
    assert!(start(&bus).await > 0, "nobody holds it any more");
    let unfinished = embedded::check_copy(to.path(), 2);
    assert!(matches!(unfinished, Err(CopyError::Log(_))), "{unfinished:?}");

    // Nor does one whose folder cannot be written to.
    let before = start(&bus).await;
    for n in 6..9 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    let hold = bus.hold_truncation().await.unwrap();
    fs::write(to.path().join("file"), "").unwrap();
    soon(hold.copy_to(to.path().join("file"), |_| true)).await.unwrap_err();
    bus.truncate(partition, 8).await.unwrap();
    assert!(start(&bus).await > before);
}

#[tokio::test]
async fn a_copy_that_is_torn_or_lacks_a_file_is_refused_by_name() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    for n in 0..6 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    let dir = |to: &Path| to.join("log").join(of(&bus, ROOM).to_string());
    let segments = |to: &Path| {
        let mut files: Vec<_> = fs::read_dir(dir(to)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    for how in ["torn", "flipped", "without its last", "without one in the middle", "without a head"] {
        let to = tempfile::tempdir().unwrap();
        let hold = bus.hold_truncation().await.unwrap();
        soon(hold.copy_to(to.path().into(), |_| true)).await.unwrap();
        let segments = segments(to.path());
        let (middle, last) = (&segments[1], segments.last().unwrap());
        let named = match how {
            "torn" => {
                let len = last.metadata().unwrap().len();
                fs::File::options().write(true).open(last).unwrap().set_len(len - 1).unwrap();
                last.clone()
            }
            "flipped" => {
                flip(middle, 100);
                middle.clone()
            }
            "without its last" => {
                fs::remove_file(last).unwrap();
                last.clone()
            }
            "without one in the middle" => {
                fs::remove_file(middle).unwrap();
                segments[2].clone()
            }
            _ => {
                let head = to.path().join("log").join(format!("{}.head", of(&bus, ROOM)));
                fs::remove_file(&head).unwrap();
                head
            }
        };
        let error = embedded::check_copy(to.path(), 2).unwrap_err().to_string();
        assert!(error.contains(named.to_str().unwrap()), "{how}: {error}");
    }
}
