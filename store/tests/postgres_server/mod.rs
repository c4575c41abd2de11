//! A Postgres of a test's own, and the story of its crashes.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use chorus_store::{Lease, MONITOR_LEASE, MachineState, PostgresOptions, Registration, Role, Store, migrate_postgres};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::stories::cast::*;

/// The limit of every wait.
const DEADLINE: Duration = Duration::from_secs(60);

/// A host writes, a session moves from edge to edge, and a monitor holds its lease, while the database crashes, is shut down,
/// and crashes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_a_pause() {
    let Some(server) = Server::start().await else { return };
    let options = server.options();
    migrate_postgres(&options).await.expect("migrated");
    let store = Store::open_postgres(&options).await.expect("opens");
    with_partitions(&store, 4).await;
    let ana = session(ANA, &edge(1), numbered(0));
    store.open_session(ana, LOBBY).await.expect("opened");
    let monitor = store.register_machine(&Registration::new(Role::Monitor)).await.expect("registered").id;

    let (stop, stopped) = watch::channel(false);
    let host = keep(&stopped, &store, async |db, n| {
        let batch = (1..=20).map(|id| with_state(room(id, n), &format!("at {n}"))).collect();
        db.write_rooms(batch).await.expect("a pause, no error");
        db.set_checkpoint(0, n).await.expect("a pause, no error");
    });
    let player = keep(&stopped, &store, async |db, n| {
        let back = db.resume_session(numbered(n - 1), numbered(n), &edge_of(n)).await.expect("a pause, no error");
        assert!(back.is_some(), "token {n} was lost");
    });
    let holder = monitor.clone();
    let holder = keep(&stopped, &store, async move |db, _| {
        let lease = db.acquire_lease(MONITOR_LEASE, &holder, DEADLINE).await.expect("a pause, no error");
        assert_eq!(lease, Lease::Held { lasts: DEADLINE });
        assert_eq!(db.heartbeat(&holder).await.expect("a pause, no error"), MachineState::Alive);
    });

    let mut all = [host, player, holder];
    for mode in ["immediate", "fast", "immediate"] {
        move_on(&mut all).await;
        tokio::task::block_in_place(|| server.control("restart", mode));
        assert!(!store.declare_dead(&monitor, DEADLINE).await.expect("a pause"), "the database was away, not it");
    }
    move_on(&mut all).await;
    stop.send_replace(true);
    for one in &mut all {
        while tokio::time::timeout(DEADLINE, one.changed()).await.expect("in time").is_ok() {}
    }

    let [written, resumed, _] = all.map(|one| *one.borrow());
    for id in 1..=20 {
        assert_eq!(state_of(&store, id).await, Some((written, format!("at {written}"))));
    }
    assert_eq!(store.checkpoint(0).await.expect("read"), written);
    let last = store.resume_session(numbered(resumed), token(2), &edge(9)).await.expect("asked").expect("good");
    assert_eq!((last.session, last.replaced), (ANA, Some(edge_of(resumed))));
    store.close().await.expect("closed");
}

fn edge_of(n: u64) -> chorus_core::ids::MachineId {
    edge(1 + (n % 2) as u32)
}

fn numbered(n: u64) -> [u8; 32] {
    let mut hash = token(0xee);
    hash[..8].copy_from_slice(&n.to_be_bytes());
    hash
}

/// Repeats the work until it is stopped, and reports how often it has succeeded.
fn keep<W>(stop: &watch::Receiver<bool>, store: &Store, work: W) -> watch::Receiver<u64>
where
    W: AsyncFn(Store, u64) + Send + 'static,
{
    let (done, progress) = watch::channel(0);
    let (stop, store) = (stop.clone(), store.clone());
    // A thread of its own: the future of an async closure cannot be declared `Send`.
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        for n in 1.. {
            runtime.block_on(work(store.clone(), n));
            done.send_replace(n);
            if *stop.borrow() {
                return;
            }
        }
    });
    progress
}

/// Waits until each has made progress. One that has failed has ended, with its reason printed above.
async fn move_on(all: &mut [watch::Receiver<u64>]) {
    for one in all {
        let target = *one.borrow_and_update() + 20;
        let moved = tokio::time::timeout(DEADLINE, one.wait_for(|n| *n >= target)).await;
        moved.expect("in time").expect("it goes on");
    }
}

struct Server {
    binaries: PathBuf,
    port: u16,
    dir: TempDir,
}

impl Server {
    /// Starts a server with the binaries of the given one, if that is on this machine.
    async fn start() -> Option<Server> {
        let mut db = PgConnection::connect(&crate::url()?).await.expect("a database");
        let binaries = sqlx::query_scalar::<_, String>("SELECT setting FROM pg_config WHERE name = 'BINDIR'");
        let binaries = PathBuf::from(binaries.fetch_one(&mut db).await.expect("read"));
        if !binaries.join("initdb").exists() {
            crate::loudly(&format!("the Postgres of {} is not on this machine: it is NOT restarted.", crate::URL));
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let server = Server { binaries, port: crate::free_port(), dir };
        server.prepare();
        server.control("start", "fast");
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn prepare(&self) {
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(self.dir.path()));
        }
        run(self.command("initdb").args(["-A", "trust", "-U", "chorus", "--no-sync", "-D"]).arg(self.data()));
        let settings = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nshared_buffers = '16MB'\n",
            self.port
        );
        fs::write(self.data().join("postgresql.auto.conf"), settings).expect("written");
    }

    /// Runs as a user that Postgres accepts: it refuses root.
    fn command(&self, binary: &str) -> Command {
        let binary = self.binaries.join(binary);
        let mut command = match is_root() {
            true => Command::new("runuser"),
            false => Command::new(&binary),
        };
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(binary);
        }
        command.current_dir(self.dir.path());
        command
    }

    /// `immediate` is a crash: no shutdown, and recovery at the next start.
    fn control(&self, what: &str, mode: &str) {
        let log = self.dir.path().join("log");
        run(self.command("pg_ctl").args([what, "-w", "-m", mode, "-D"]).arg(self.data()).arg("-l").arg(log));
    }

    fn options(&self) -> PostgresOptions {
        let url = format!("postgres://chorus@127.0.0.1:{}/postgres", self.port);
        let mut options: PostgresOptions = url.parse().expect("a URL");
        options.give_up_after = DEADLINE;
        options
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        let _ = stop.args(["stop", "-m", "immediate", "-D"]).arg(self.data()).stdout(Stdio::null()).status();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn run(command: &mut Command) {
    let done = command.stdout(Stdio::null()).status().expect("it runs");
    assert!(done.success(), "{command:?}: {done}");
}
