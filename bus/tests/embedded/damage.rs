//! Damage: what no crash explains is an error that names the file, and nothing is changed.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use chorus_bus::{
    Durability, OpenError,
    embedded::{self, Options},
};
use chorus_testing::soon;

use crate::{
    files::{Files, HEADER, flip},
    suite::*,
};

#[tokio::test]
async fn a_corrupt_record_in_the_middle_is_an_error_that_names_file_and_position() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    append_all(&bus, 0..3).await;
    soon(bus.close()).await.unwrap(); // Which adds a sync marker that covers all of it.
    let file = files.segments().pop().unwrap();
    let before = fs::read(&file).unwrap();
    flip(&file, HEADER + 20);

    let error = files.open_error().await;
    let OpenError::Damaged { file: named, position, .. } = &error else { panic!("{error}") };
    assert_eq!((named, *position), (&file, HEADER));
    let text = error.to_string();
    assert!(text.contains(file.to_str().unwrap()) && text.contains(&format!("byte {HEADER}")), "{text}");
    // And it has changed nothing: with the original byte, the log opens.
    flip(&file, HEADER + 20);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(files.open().await.end(ROOM.partition(2)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_corrupt_record_in_an_older_segment_is_an_error() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    for n in 0..4 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    soon(bus.close()).await.unwrap();
    let oldest = &files.segments()[0];
    // Not even its end may be torn: it was whole before the next segment began.
    let len = fs::metadata(oldest).unwrap().len();
    OpenOptions::new().write(true).open(oldest).unwrap().set_len(len - 1).unwrap();
    let error = files.open_error().await;
    assert!(matches!(&error, OpenError::Damaged { file, .. } if file == oldest), "{error}");
}

#[tokio::test]
async fn a_record_that_is_damaged_under_a_running_bus_is_an_error_of_the_reader() {
    let files = Files::new(Durability::Background);
    let bus = embedded::open(Options { tail_bytes: 0, ..files.options() }).await.unwrap();
    append_all(&bus, 0..3).await;
    let file = files.segments().pop().unwrap();
    flip(&file, HEADER + 20);
    let error = soon(bus.read(of(&bus, ROOM), 0).next(&mut Vec::new())).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(file.to_str().unwrap()) && text.contains(&format!("byte {HEADER}")), "{text}");
}

#[tokio::test]
async fn a_missing_segment_is_a_gap_that_is_named() {
    let files = Files::new(Durability::Background);
    let bus = files.open().await;
    for n in 0..5 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    soon(bus.close()).await.unwrap();
    let segments = files.segments();
    assert!(segments.len() > 3);
    fs::remove_file(&segments[1]).unwrap();
    let error = files.open_error().await;
    assert!(matches!(error, OpenError::Gap { missing: 1, found: 2, .. }), "{error}");
}

#[tokio::test]
async fn files_that_are_not_of_this_log_are_refused() {
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 4] = [
        ("not a chorus log", |file| flip(file, 0)),
        ("log format", |file| flip(file, 8)),
        ("header", |file| flip(file, 20)),
        ("renamed", |file| fs::rename(file, file.with_file_name("00000000000000000009.log")).unwrap()),
    ];
    for (expected, spoil) in cases {
        let files = Files::crashed_after(3).await;
        spoil(&files.segments()[0]);
        let text = files.open_error().await.to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_part_that_is_gone_is_named_and_not_made_anew() {
    type Lose = fn(&Files) -> PathBuf;
    let lost: [(&str, Lose); 5] = [
        ("the head of a partition", |files| {
            fs::remove_file(files.head()).unwrap();
            files.head()
        }),
        ("a partition's directory", |files| {
            let dir = files.segments()[0].parent().unwrap().to_owned();
            fs::remove_dir_all(&dir).unwrap();
            dir
        }),
        ("all segments of a partition", |files| {
            let segments = files.segments();
            segments.iter().for_each(|segment| fs::remove_file(segment).unwrap());
            segments.last().unwrap().clone()
        }),
        ("its newest segment", |files| {
            let newest = files.segments().pop().unwrap();
            fs::remove_file(&newest).unwrap();
            newest
        }),
        ("its newest segments", |files| {
            let segments = files.segments();
            segments[1..].iter().for_each(|segment| fs::remove_file(segment).unwrap());
            segments.last().unwrap().clone()
        }),
    ];
    for (what, lose) in lost {
        let files = Files::new(Durability::Background);
        let bus = files.open().await;
        for n in 0..4 {
            soon(bus.append(&large(n))).await.unwrap();
        }
        soon(bus.close()).await.unwrap();
        let named = lose(&files);
        for attempt in 1..=2 {
            let error = files.open_error().await;
            assert!(matches!(&error, OpenError::Missing { file } if *file == named), "{what}, {attempt}: {error}");
        }
        assert!(!named.exists(), "{what}");
    }
}

#[tokio::test]
async fn a_part_of_another_log_is_named() {
    let (files, other) = (Files::crashed_after(3).await, Files::crashed_after(3).await);
    let (segment, head) = (files.segments().pop().unwrap(), files.head());
    for (ours, theirs) in [(&segment, &other.segments()[0]), (&head, &other.head())] {
        let kept = fs::read(ours).unwrap();
        fs::copy(theirs, ours).unwrap();
        let error = files.open_error().await;
        assert!(matches!(&error, OpenError::Foreign { .. }), "{error}");
        fs::write(ours, kept).unwrap();
    }
    assert_eq!(files.open().await.end(ROOM.partition(2)).await.unwrap(), 3);
}
