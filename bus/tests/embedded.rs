//! The embedded log: the shared suite, and the tests that need files: crashes, damage, locks, bounds.

mod suite;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use chorus_bus::{
    AppendError, Bus, EdgeReadError, Fsync, OpenError,
    embedded::{self, EDGE_LIMIT, Options},
};
use chorus_core::pairing::{DataId, Mark};
use suite::*;
use tempfile::TempDir;

/// Two partitions in a directory of its own, with segments that 10 KiB fill, and few records in memory.
struct Files {
    dir: TempDir,
    fsync: Fsync,
}

impl Place for Files {
    async fn open(&self) -> Bus {
        embedded::open(self.options()).await.unwrap()
    }
}

impl Files {
    fn new(fsync: Fsync) -> Files {
        Files { dir: tempfile::tempdir().unwrap(), fsync }
    }

    fn options(&self) -> Options {
        let small = Options { segment_bytes: 10 << 10, tail_bytes: 30 << 10, ..Options::new(self.dir.path()) };
        Options { partitions: 2, fsync: self.fsync, ..small }
    }

    /// The segments of the room's partition, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let dir = self.dir.path().join("log").join(ROOM.partition(2).to_string());
        let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The head of the room's partition.
    fn head(&self) -> PathBuf {
        self.dir.path().join("log").join(format!("{}.head", ROOM.partition(2)))
    }

    async fn open_error(&self) -> OpenError {
        embedded::open(self.options()).await.expect_err("it is refused")
    }
}

mod background {
    use super::*;

    async fn place() -> Option<Files> {
        Some(Files::new(Fsync::Background))
    }
    suite!(place);
}

mod always {
    use super::*;

    async fn place() -> Option<Files> {
        Some(Files::new(Fsync::Always))
    }
    suite!(place);
}

// On disk and in memory.

#[tokio::test]
async fn a_reader_passes_from_disk_to_memory_and_back_without_a_gap() {
    let files = Files::new(Fsync::Background);
    // A window that holds only the newest few.
    let options = Options { tail_bytes: 500, ..files.options() };
    let bus = embedded::open(options).await.unwrap();
    append_all(&bus, 0..1000).await;
    let mut reader = bus.read(of(&bus, ROOM), 0);
    let mut read = read(&mut reader, 1000).await;
    for n in 1000..1300 {
        append_all(&bus, n..n + 1).await;
        // Every seventh time it has caught up; in between it falls behind the window.
        if n % 7 == 0 {
            while read.len() as u64 <= n {
                soon(reader.next(&mut read)).await.unwrap();
            }
        }
    }
    while read.len() < 1300 {
        soon(reader.next(&mut read)).await.unwrap();
    }
    assert!(read.iter().map(|(offset, record)| (*offset, number(record))).eq((0..1300).map(|n| (n, n))));
}

#[tokio::test]
async fn with_fsync_always_what_was_answered_survives_a_cut_at_its_end() {
    let files = Files::new(Fsync::Always);
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

// Crashes.

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

// Damage.

#[tokio::test]
async fn a_corrupt_record_in_the_middle_is_an_error_that_names_file_and_position() {
    let files = Files::new(Fsync::Background);
    let bus = files.open().await;
    append_all(&bus, 0..3).await;
    soon(bus.close()).await.unwrap(); // Which adds a mark that covers all of it.
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
    let files = Files::new(Fsync::Background);
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
    let files = Files::new(Fsync::Background);
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
    let files = Files::new(Fsync::Background);
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
    for (said, spoil) in cases {
        let files = Files::crashed_after(3).await;
        spoil(&files.segments()[0]);
        let text = files.open_error().await.to_string();
        assert!(text.contains(said), "{text}");
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
        let files = Files::new(Fsync::Background);
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

#[tokio::test]
async fn a_first_start_that_was_interrupted_is_begun_again() {
    let files = Files::new(Fsync::Background);
    soon(files.open().await.close()).await.unwrap();
    // No record is accepted before all heads exist.
    fs::remove_file(files.head()).unwrap();
    assert_eq!(embedded::take(files.options()).await.unwrap().mark(), None);
    let bus = files.open().await;
    append_all(&bus, 0..3).await;
    assert_eq!(bus.end(of(&bus, ROOM)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_log_carries_the_mark_that_it_was_opened_with() {
    let files = Files::new(Fsync::Background);
    let place = embedded::take(files.options()).await.unwrap();
    assert_eq!(place.mark(), None);
    let mark = Mark { id: DataId(77), life: 1 };
    soon(place.open(mark).await.unwrap().close()).await.unwrap();
    let place = embedded::take(files.options()).await.unwrap();
    assert_eq!(place.mark(), Some(mark));
    let bus = place.open(Mark { life: 2, ..mark }).await.unwrap();
    for n in 0..4 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    soon(bus.close()).await.unwrap();
    assert_eq!(embedded::take(files.options()).await.unwrap().mark(), Some(Mark { life: 2, ..mark }));
}

#[tokio::test]
async fn all_of_it_is_for_its_owner_alone_and_links_are_not_followed() {
    let files = Files::crashed_after(3).await;
    let open_to_all = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    let log = files.dir.path().join("log");
    for path in [files.dir.path(), &log, &files.head(), &files.segments()[0], &files.dir.path().join("lock")] {
        open_to_all(path);
    }
    soon(files.open().await.close()).await.unwrap();
    for path in walk(files.dir.path()) {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    for path in [files.segments()[0].clone(), files.head(), files.dir.path().join("lock"), log] {
        let elsewhere = tempfile::tempdir().unwrap();
        let elsewhere = elsewhere.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let error = files.open_error().await.to_string();
        assert!(error.contains("symbolic link") && error.contains(path.to_str().unwrap()), "{error}");
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
    }
    // But the directory itself may be reached through one.
    let link = tempfile::tempdir().unwrap();
    let link = link.path().join("data");
    std::os::unix::fs::symlink(files.dir.path(), &link).unwrap();
    let bus = embedded::open(Options { dir: link, ..files.options() }).await.unwrap();
    assert_eq!(bus.end(ROOM.partition(2)).await.unwrap(), 3);
}

/// A directory and all that is below it.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let below = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let below = below.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] });
    [dir.to_owned()].into_iter().chain(below).collect()
}

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let files = Files::crashed_after(1).await;
    let error = embedded::open(Options { partitions: 3, ..files.options() }).await.err().unwrap();
    assert!(matches!(error, OpenError::Partitions { found: 2, asked: 3, .. }), "{error}");
}

// One process for a directory.

#[tokio::test]
async fn a_second_handle_is_refused_with_the_pid_of_the_first() {
    let files = Files::new(Fsync::Background);
    let bus = files.open().await;
    let reader = bus.read(0, 0);
    let error = files.open_error().await.to_string();
    assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
    soon(bus.close()).await.unwrap();
    assert!(matches!(files.open_error().await, OpenError::Locked { .. }), "a reader still uses it");
    drop(reader);
    let again = files.open().await;
    drop(again);
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_pid_of_the_first_and_a_killed_one_is_forgotten() {
    let files = Files::new(Fsync::Background);
    let mut holder = another_process(&["--exact", "hold_a_directory", "--ignored"], files.dir.path());
    wait_for(&files.dir.path().join("held")).await;
    let error = files.open_error().await.to_string();
    assert!(error.contains(&format!("pid {}", holder.id())), "{error}");

    holder.kill().unwrap();
    holder.wait().unwrap();
    let bus = files.open().await;
    assert_eq!(bus.end(of(&bus, ROOM)).await.unwrap(), 3, "and what it had confirmed is there");
}

/// The other process of the story above.
#[tokio::test]
#[ignore = "run by another test"]
async fn hold_a_directory() {
    let dir = PathBuf::from(std::env::var_os("CHORUS_TEST_DIR").expect("run by another test"));
    let bus = embedded::open(Options { partitions: 2, ..Options::new(&dir) }).await.unwrap();
    append_all(&bus, 0..3).await;
    fs::write(dir.join("held"), "").unwrap();
    std::future::pending::<()>().await;
}

// Bounds.

#[tokio::test(flavor = "current_thread")]
async fn a_full_queue_refuses_and_what_it_took_before_is_written() {
    let files = Files::new(Fsync::Background);
    let bus = embedded::open(Options { queue_bytes: 25 << 10, ..files.options() }).await.unwrap();
    // The writer has no turn before this task waits.
    let appends: Vec<_> = (0..4).map(|n| bus.append(&large(n))).collect();
    let refused: Vec<_> = appends.iter().map(|append| append.refused().is_some()).collect();
    assert_eq!(refused, [false, false, true, true]);
    for (n, append) in appends.into_iter().enumerate() {
        match soon(append).await {
            Ok(offset) => assert_eq!(offset, Some(n as u64)),
            Err(error) => assert!(matches!(error, AppendError::Full { .. }) && n >= 2, "{error}"),
        }
    }
    assert_eq!(soon(bus.append(&large(4))).await.unwrap(), Some(2), "there is room again");
}

#[tokio::test(flavor = "current_thread")]
async fn a_record_larger_than_the_queue_is_let_in_alone() {
    let files = Files::new(Fsync::Background);
    let bus = embedded::open(Options { queue_bytes: 100, ..files.options() }).await.unwrap();
    assert_eq!(soon(bus.append(&large(0))).await.unwrap(), Some(0));
}

#[tokio::test]
async fn an_edge_that_falls_too_far_behind_is_told_once_in_the_place_where_commands_are_missing() {
    let files = Files::new(Fsync::Background);
    let bus = files.open().await;
    let mut edge = open(&bus, "edge-1").await;
    let limit = EDGE_LIMIT as u64;
    for n in 0..limit + 10 {
        drop(bus.send_edge(&machine("edge-1"), left(n)));
    }
    let mut into = Vec::new();
    let told = soon(edge.recv_many(&mut into)).await;
    assert_eq!((told, into.len()), (Err(EdgeReadError::Overflow { dropped: limit + 10 }), 0));
    drop(bus.send_edge(&machine("edge-1"), left(1)));
    assert_eq!(receive(&mut edge, 1).await, [left(1)]);
}

// Retention.

#[tokio::test]
async fn the_last_segment_is_never_cut_off() {
    let files = Files::new(Fsync::Background);
    let bus = files.open().await;
    for n in 0..5 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    let partition = of(&bus, ROOM);
    bus.truncate(partition, 5).await.unwrap();
    assert_eq!((files.segments().len(), bus.start(partition).await.unwrap()), (1, 4));
    soon(bus.close()).await.unwrap();
    let bus = files.open().await;
    assert_eq!(bus.start(partition).await.unwrap(), 4);
    assert_eq!(soon(bus.append(&large(5))).await.unwrap(), Some(5), "no offset is given out twice");
}

#[tokio::test]
async fn after_a_skip_offsets_go_on_from_there() {
    let files = Files::new(Fsync::Background);
    let bus = files.open().await;
    append_all(&bus, 0..3).await;
    let partition = of(&bus, ROOM);
    let mut waiting = bus.read(partition, 3);
    bus.skip_to(partition, 2, &message(ROOM, 99)).await.unwrap(); // Nothing to do.
    bus.skip_to(partition, 10, &message(ROOM, 99)).await.unwrap();
    assert_eq!(bus.end(partition).await.unwrap(), 10);
    assert_eq!(soon(bus.append(&message(ROOM, 10))).await.unwrap(), Some(10));
    assert_eq!(read(&mut waiting, 1).await, [(10, message(ROOM, 10))]);
    drop(waiting);
    soon(bus.close()).await.unwrap();

    let bus = files.open().await;
    let read = read(&mut bus.read(partition, 0), 4).await;
    assert_eq!(read.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 1, 2, 10]);
}

// Helpers.

/// How long a segment's header is.
const HEADER: u64 = 52;

impl Files {
    /// A log with this many records, as a killed process leaves it: no mark covers its end.
    async fn crashed_after(records: u64) -> Files {
        let files = Files::new(Fsync::Background);
        let bus = files.open().await;
        append_all(&bus, 0..records).await;
        let copy: Vec<_> = files.segments().into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
        soon(bus.close()).await.unwrap();
        copy.into_iter().for_each(|(bytes, file)| fs::write(file, bytes).unwrap());
        files
    }

    fn bytes_of_the_last_segment(&self) -> Vec<u8> {
        fs::read(self.segments().last().unwrap()).unwrap()
    }
}

fn flip(file: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0xff], at).unwrap();
}

fn another_process(arguments: &[&str], dir: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).env("CHORUS_TEST_DIR", dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

async fn wait_for(file: &Path) {
    soon(async {
        while !file.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}
