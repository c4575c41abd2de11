//! Stories of a backup: taken from a log and a store that are used, and restored, or refused by name.

use chorus_bus::{Bus, Durability};
use chorus_core::{
    command::{Record, RoomCommand},
    ids::{RoomId, Time},
};
use chorus_monitor::{Backup, api::BackupEvent};
use chorus_store::Store;
use tempfile::TempDir;

use super::*;
use crate::data::{self, Data};

struct Server {
    dir: TempDir,
    bus: Bus,
    store: Store,
    backup: Backup,
}

impl Server {
    async fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let Data { dir: data, bus, store } = data::open(dir.path(), Durability::Background, false).await.unwrap();
        let backup = take::hook(data, bus.clone(), store.clone());
        Server { dir, bus, store, backup }
    }

    async fn append(&self, count: u64) {
        let command = RoomCommand::Close { reason: "over".into() };
        for n in 0..count {
            let record = Record { room: RoomId(1), time: Time(n), command: command.clone() };
            self.bus.append(&record).await.unwrap();
        }
    }

    async fn back_up(&self, to: &Path) -> Result<BackupDone, String> {
        let mut events = (self.backup)(to.to_owned());
        loop {
            match events.recv().await.expect("a last event") {
                BackupEvent::Progress(_) => {}
                BackupEvent::Done(done) => return Ok(done),
                BackupEvent::Failed(refusal) => return Err(refusal.error),
            }
        }
    }

    async fn stop(self) -> TempDir {
        drop(self.backup);
        self.bus.close().await.unwrap();
        self.store.close().await.unwrap();
        self.dir
    }
}

#[tokio::test]
async fn a_backup_is_restored_with_all_that_was_there_when_it_began() {
    let server = Server::start().await;
    server.append(20).await;
    server.store.set_checkpoint(0, 10).await.unwrap();
    let aside = tempfile::tempdir().unwrap();
    let (backup, restored) = (aside.path().join("backup"), aside.path().join("restored"));
    let done = server.back_up(&backup).await.unwrap();
    assert_eq!((done.ends, done.files), (vec![20], 3));
    server.append(5).await;

    restore::restore(&backup, &restored).await.unwrap();
    let Data { bus, store, .. } = data::open(&restored, Durability::Background, false).await.unwrap();
    assert_eq!((bus.end(0).await.unwrap(), store.checkpoint(0).await.unwrap()), (20, 10));
    bus.close().await.unwrap();
    store.close().await.unwrap();
    // Neither the backup nor the server has changed.
    restore::restore(&backup, &aside.path().join("again")).await.unwrap();
    assert_eq!(server.bus.end(0).await.unwrap(), 25);
    server.stop().await;
}

#[tokio::test]
async fn a_backup_is_not_made_where_something_is_and_a_failed_one_leaves_nothing() {
    let server = Server::start().await;
    let aside = tempfile::tempdir().unwrap();
    fs::write(aside.path().join("file"), "").unwrap();
    let error = server.back_up(aside.path()).await.unwrap_err();
    assert!(error.contains("not empty"), "{error}");
    let inside = server.dir.path().join("backup");
    let error = server.back_up(&inside).await.unwrap_err();
    assert!(error.contains("in the data directory") && !inside.exists(), "{error}");
    // The store fails after the directory was created.
    server.store.clone().close().await.unwrap();
    fs::remove_file(server.dir.path().join(manifest::STORE)).unwrap();
    fs::create_dir(server.dir.path().join(manifest::STORE)).unwrap();
    let to = aside.path().join("backup");
    server.back_up(&to).await.unwrap_err();
    assert!(!to.exists());
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_by_name_and_nothing_is_restored() {
    let server = Server::start().await;
    server.append(20).await;
    let aside = tempfile::tempdir().unwrap();
    let segment = "log/0/00000000000000000000.log";
    for (how, file, expected) in [
        ("cut", segment, "is shorter"),
        ("longer", segment, "is longer"),
        ("changed", manifest::STORE, "another SHA-256"),
        ("gone", "log/0.head", "is missing"),
        ("gone", manifest::NAME, "interrupted before it was complete"),
        ("changed", manifest::NAME, "damaged"),
    ] {
        let backup = aside.path().join("backup");
        server.back_up(&backup).await.unwrap();
        let path = backup.join(file);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        match how {
            "cut" => fs::write(&path, &bytes[..middle]).unwrap(),
            "longer" => fs::write(&path, [&bytes[..], b"!"].concat()).unwrap(),
            "changed" => {
                bytes[middle] ^= 1;
                fs::write(&path, bytes).unwrap();
            }
            _ => fs::remove_file(&path).unwrap(),
        }
        let restored = aside.path().join("restored");
        let error = format!("{:#}", restore::restore(&backup, &restored).await.unwrap_err());
        let named = if file == manifest::NAME { "backup" } else { file };
        assert!(error.contains(expected) && error.contains(named), "{how} {file}: {error}");
        assert!(!restored.exists(), "{how} {file}");
        fs::remove_dir_all(&backup).unwrap();
    }
    // Nor is anything restored over what is there.
    let backup = aside.path().join("backup");
    server.back_up(&backup).await.unwrap();
    let error = restore::restore(&backup, server.dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("not empty"), "{error}");
    server.stop().await;
}
