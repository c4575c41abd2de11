//! Opening a data directory: its lock, its modes, its mark.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use chorus_bus::{
    Durability, OpenError,
    embedded::{self, Options},
};
use chorus_core::pairing::{DataId, Mark};
use chorus_testing::{soon, until};

use crate::{files::Files, suite::*};

#[tokio::test]
async fn a_first_start_that_was_interrupted_is_begun_again() {
    let files = Files::new(Durability::Background);
    soon(files.open().await.close()).await.unwrap();
    // No record is accepted before all heads exist.
    fs::remove_file(files.head()).unwrap();
    assert_eq!(embedded::lock_dir(files.options()).await.unwrap().mark(), None);
    let bus = files.open().await;
    append_all(&bus, 0..3).await;
    assert_eq!(bus.end(of(&bus, ROOM)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_log_carries_the_mark_that_it_was_opened_with() {
    let files = Files::new(Durability::Background);
    let place = embedded::lock_dir(files.options()).await.unwrap();
    assert_eq!(place.mark(), None);
    let mark = Mark { id: DataId(77), life: 1 };
    soon(place.open(mark).await.unwrap().close()).await.unwrap();
    let place = embedded::lock_dir(files.options()).await.unwrap();
    assert_eq!(place.mark(), Some(mark));
    let bus = place.open(Mark { life: 2, ..mark }).await.unwrap();
    for n in 0..4 {
        soon(bus.append(&large(n))).await.unwrap();
    }
    soon(bus.close()).await.unwrap();
    assert_eq!(embedded::lock_dir(files.options()).await.unwrap().mark(), Some(Mark { life: 2, ..mark }));
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

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let files = Files::crashed_after(1).await;
    let error = embedded::open(Options { partitions: 3, ..files.options() }).await.err().unwrap();
    assert!(matches!(error, OpenError::Partitions { found: 2, configured: 3, .. }), "{error}");
}

#[tokio::test]
async fn a_second_handle_is_refused_with_the_pid_of_the_first() {
    let files = Files::new(Durability::Background);
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
async fn a_second_process_is_refused_with_the_pid_of_the_first_until_that_is_killed() {
    let files = Files::new(Durability::Background);
    let mut holder = another_process(&["--exact", "opening::hold_a_directory", "--ignored"], files.dir.path());
    let held = files.dir.path().join("held");
    until("the other process to lock it", async || held.exists()).await;
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

/// A directory and all that is below it.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let below = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let below = below.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] });
    [dir.to_owned()].into_iter().chain(below).collect()
}

fn another_process(arguments: &[&str], dir: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).env("CHORUS_TEST_DIR", dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
