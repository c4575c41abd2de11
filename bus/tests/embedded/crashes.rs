//! The effects of a crash: a torn end is truncated, and the log continues.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
};

use chorus_bus::Durability;
use chorus_testing::soon;

use crate::{
    files::{Files, HEADER},
    suite::*,
};

#[tokio::test]
async fn a_torn_last_record_is_cut_and_the_log_goes_on() {
    for cut in [1, 10, 20] {
        let files = Files::crashed_after(3).await;
        let last = files.segments().pop().unwrap();
        let len = fs::metadata(&last).unwrap().len();
        OpenOptions::new().write(true).open(&last).unwrap().set_len(len - cut).unwrap();

        let bus = files.open().await;
        assert_eq!(bus.end(of(&bus, ROOM)).await.unwrap(), 2, "{cut} bytes are missing");
        assert_eq!(bus.append(&message(ROOM, 20)).await.unwrap(), Some(2));
        assert_eq!(numbers(&read(&mut bus.read(of(&bus, ROOM), 0), 3).await), [0, 1, 20]);
    }
}

#[tokio::test]
async fn pages_that_were_written_out_of_order_are_cut_too() {
    let files = Files::crashed_after(3).await;
    // The middle record never reached the disk, but the one after it did.
    let last = files.segments().pop().unwrap();
    let len = fs::metadata(&last).unwrap().len();
    let record = (len - HEADER) / 3;
    OpenOptions::new().write(true).open(&last).unwrap().write_all_at(&[0; 30], HEADER + record).unwrap();

    let bus = files.open().await;
    assert_eq!(bus.end(of(&bus, ROOM)).await.unwrap(), 1);
}

#[tokio::test]
async fn rubbish_after_the_last_record_is_cut() {
    let files = Files::crashed_after(3).await;
    let last = files.segments().pop().unwrap();
    OpenOptions::new().append(true).open(&last).unwrap().write_all(&[0xff; 100]).unwrap();
    let bus = files.open().await;
    assert_eq!(bus.end(of(&bus, ROOM)).await.unwrap(), 3);
    append_all(&bus, 3..4).await;
    soon(bus.close()).await.unwrap();
    let bus = files.open().await;
    assert_eq!(numbers(&read(&mut bus.read(of(&bus, ROOM), 0), 4).await), [0, 1, 2, 3]);
}

#[tokio::test]
async fn what_a_crash_left_of_a_segment_that_was_being_made_goes() {
    let files = Files::crashed_after(3).await;
    let half_made = files.segments().pop().unwrap().with_extension("new");
    fs::write(&half_made, b"CHO").unwrap();
    let bus = files.open().await;
    assert_eq!(bus.end(of(&bus, ROOM)).await.unwrap(), 3);
    assert!(!half_made.exists());
}

#[tokio::test]
async fn with_fsync_always_what_was_answered_survives_a_cut_at_its_end() {
    let files = Files::new(Durability::Always);
    let bus = files.open().await;
    append_all(&bus, 0..5).await;
    let answered = files.bytes_of_the_last_segment();
    append_all(&bus, 5..6).await;
    soon(bus.close()).await.unwrap();
    // The disk as it was at the fifth answer, without any later write.
    fs::write(files.segments().last().unwrap(), answered).unwrap();
    let bus = files.open().await;
    assert_eq!(bus.end(of(&bus, ROOM)).await.unwrap(), 5);
}
