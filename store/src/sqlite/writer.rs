//! The one writer: takes all queued writes and commits them together, so that a thousand sessions that open at once cost a few
//! commits. SQLite has one writer at a time anyway; this way no call ever meets its lock.

use std::{
    fs::File,
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{Clock, Durability, StoreError, row::number};

/// The number of writes that may wait; callers with further ones wait for room.
const MAX_QUEUED: usize = 1024;

/// The most writes in one transaction. All of them are answered after its commit.
const MAX_BATCH: usize = 128;

/// The delay between a commit and its sync. The promise is 100 ms; the rest is for the sync itself.
const SYNC_DELAY: Duration = Duration::from_millis(50);

/// The size of the write-ahead log at which it is moved into the database. More than SQLite's own 4 MiB, since writes that
/// arrive meanwhile wait for two syncs; small enough to be read quickly at a start.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// Moves the write-ahead log into the database. Afterwards the file itself records that it needs its log, and the log overrides
/// that record: see the table `data`.
pub(super) async fn checkpoint(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // FULL waits for readers, whose reads are short, and at most for the busy timeout.
    for statement in ["UPDATE data SET open = 1", "PRAGMA wal_checkpoint(FULL)", "UPDATE data SET open = 2"] {
        sqlx::query(statement).execute(&mut *db).await?;
    }
    Ok(())
}

/// A change of the tables. May be applied more than once before it is committed once, so it keeps no state of its own.
pub(crate) trait Write: Send + Sync + 'static {
    type Output: Send + 'static;

    /// Its answer waits until the write is on the disk, in either mode.
    const DURABLE: bool = false;

    /// Whether it reads `now!`. Setting that costs as much as one more statement in each transaction.
    const READS_CLOCK: bool = true;

    /// Whether `apply` is one text for SQLite that alone is a transaction of its own: one statement, or a savepoint.
    fn is_one_round_trip(&self) -> bool {
        false
    }

    fn apply(&self, db: &mut SqliteConnection) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;
}

#[derive(Debug)]
pub(crate) struct Handle(mpsc::Sender<Message>);

enum Message {
    Write(Box<dyn Job>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

impl Handle {
    pub async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let (answer, waiting) = oneshot::channel();
        let job = Box::new(Waiting { write, output: None, answer });
        self.0.send(Message::Write(job)).await.map_err(|_| StoreError::Closed)?;
        waiting.await.unwrap_or(Err(StoreError::Closed))
    }

    pub async fn close(&self) -> Result<(), StoreError> {
        let (answer, waiting) = oneshot::channel();
        self.0.send(Message::Close(answer)).await.map_err(|_| StoreError::Closed)?;
        waiting.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// A write of any type, with its caller's answer channel.
trait Job: Send {
    fn apply<'a>(&'a mut self, db: &'a mut SqliteConnection) -> Applied<'a>;
    fn is_durable(&self) -> bool;
    fn reads_clock(&self) -> bool;
    fn is_one_round_trip(&self) -> bool;
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: StoreError);
}

type Applied<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

struct Waiting<W: Write> {
    write: W,
    /// The output of an application that is not committed yet.
    output: Option<W::Output>,
    answer: oneshot::Sender<Result<W::Output, StoreError>>,
}

impl<W: Write> Job for Waiting<W> {
    fn apply<'a>(&'a mut self, db: &'a mut SqliteConnection) -> Applied<'a> {
        Box::pin(async move {
            self.output = Some(self.write.apply(db).await?);
            Ok(())
        })
    }

    fn is_durable(&self) -> bool {
        W::DURABLE
    }

    fn reads_clock(&self) -> bool {
        W::READS_CLOCK
    }

    fn is_one_round_trip(&self) -> bool {
        self.write.is_one_round_trip()
    }

    fn committed(self: Box<Self>) {
        let output = self.output.expect("what is committed was applied");
        let _ = self.answer.send(Ok(output)); // The caller may be gone; the write stands.
    }

    fn failed(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error));
    }
}

/// Starts the writer. It ends when the last handle is dropped, or by `Handle::close`.
pub(crate) fn spawn(db: SqliteConnection, wal: Arc<Wal>, clock: Clock) -> Handle {
    let (sender, queue) = mpsc::channel(MAX_QUEUED);
    let syncer = tokio::spawn(sync_behind(wal.clone()));
    tokio::spawn(async move {
        let mut writer = Writer { db, wal, clock, queue };
        let closed = writer.run().await;
        syncer.abort();
        let done = writer.finish().await;
        closed.into_iter().for_each(|answer| drop(answer.send(done.clone())));
    });
    Handle(sender)
}

struct Writer {
    db: SqliteConnection,
    wal: Arc<Wal>,
    clock: Clock,
    queue: mpsc::Receiver<Message>,
}

impl Writer {
    /// Returns the answer channels of the close requests.
    async fn run(&mut self) -> Vec<oneshot::Sender<Result<(), StoreError>>> {
        let mut closed = Vec::new();
        let mut messages = Vec::with_capacity(MAX_BATCH);
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        while self.queue.recv_many(&mut messages, MAX_BATCH).await > 0 {
            for message in messages.drain(..) {
                match message {
                    Message::Write(job) => jobs.push(job),
                    Message::Close(answer) => {
                        closed.push(answer);
                        self.queue.close();
                    }
                }
            }
            self.process(&mut jobs).await;
        }
        closed
    }

    async fn process(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        match self.commit(jobs).await {
            Ok(()) => jobs.drain(..).for_each(|job| job.committed()),
            Err(error) if jobs.len() == 1 => jobs.drain(..).for_each(|job| job.failed(error.clone())),
            // One of them is the cause, and the others must not fail with it.
            Err(_) => {
                for job in jobs.drain(..) {
                    let mut alone = vec![job];
                    let done = self.commit(&mut alone).await;
                    alone.into_iter().for_each(|job| match &done {
                        Ok(()) => job.committed(),
                        Err(error) => job.failed(error.clone()),
                    });
                }
            }
        }
    }

    async fn commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        self.wal.check()?;
        if jobs.is_empty() {
            return Ok(());
        }
        let done = self.transaction(jobs).await;
        if done.is_err() {
            // There may be no transaction to roll back: some errors end it themselves.
            let _ = sqlx::query("ROLLBACK").execute(&mut self.db).await;
            return done;
        }
        if self.wal.is_large() && !self.wal.is_held() {
            // The writes are committed. A failure here costs disk space, and the next commit tries again.
            if let Err(error) = checkpoint(&mut self.db).await {
                tracing::warn!(%error, "the write-ahead log could not be moved into the database; it grows until it can");
            }
        }
        if self.wal.durability == Durability::Background {
            let must_be_durable = jobs.iter().any(|job| job.is_durable());
            match must_be_durable {
                true => self.wal.sync().await?,
                false => self.wal.dirty.notify_one(),
            }
        }
        Ok(())
    }

    async fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        // Each statement is a round trip to SQLite's thread, which takes longer than most of them.
        if let [job] = jobs
            && job.is_one_round_trip()
            && !job.reads_clock()
        {
            return job.apply(&mut self.db).await;
        }
        let reads_clock = jobs.iter().any(|job| job.reads_clock());
        let begin = match reads_clock {
            true => {
                let now = number(self.clock.now().0);
                sqlx::query("BEGIN IMMEDIATE; UPDATE temp.clock SET now = ?1").bind(now).execute(&mut self.db).await
            }
            false => sqlx::query("BEGIN IMMEDIATE").execute(&mut self.db).await,
        };
        begin.map_err(StoreError::at("begin a transaction"))?;
        for job in jobs {
            job.apply(&mut self.db).await?;
        }
        sqlx::query("COMMIT").execute(&mut self.db).await.map_err(StoreError::at("commit"))?;
        Ok(())
    }

    /// Moves the write-ahead log into the database file and empties it.
    async fn finish(self) -> Result<(), StoreError> {
        let Writer { mut db, wal, clock, .. } = self;
        wal.check()?;
        let closed = sqlx::query("UPDATE data SET open = 0, clock = max(clock, ?1)").bind(number(clock.now().0));
        closed.execute(&mut db).await.map_err(StoreError::at("record that it is closed"))?;
        wal.sync().await?;
        let emptied = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut db).await;
        emptied.map_err(StoreError::at("empty the write-ahead log"))?;
        db.close().await.map_err(StoreError::at("close the database"))
    }
}

/// SQLite's write-ahead log, as a file to sync. In WAL mode with `synchronous=NORMAL` SQLite itself syncs only when it
/// moves pages into the database, which may be minutes after a commit; syncing this file makes every commit so far
/// durable. (A second descriptor is safe here and only here: SQLite keeps its locks, which POSIX would drop when any
/// descriptor of the file is closed, on the database and the shared memory, never on this file.)
#[derive(Debug)]
pub(crate) struct Wal {
    pub path: PathBuf,
    pub file: Arc<File>,
    pub durability: Durability,
    dirty: Notify,
    stopped: OnceLock<StoreError>,
    /// How many copies of the database are being made. A copy is one long read, for which a checkpoint would wait, and with it all
    /// writes; the log grows meanwhile.
    copies: AtomicU32,
}

/// No checkpoint is made while this exists.
#[derive(Debug)]
pub(super) struct CheckpointHold(Arc<Wal>);

impl Drop for CheckpointHold {
    fn drop(&mut self) {
        self.0.copies.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Wal {
    pub fn new(path: PathBuf, file: File, durability: Durability) -> Wal {
        Wal {
            path,
            file: Arc::new(file),
            durability,
            dirty: Notify::new(),
            stopped: OnceLock::new(),
            copies: AtomicU32::new(0),
        }
    }

    pub(super) fn hold(self: &Arc<Wal>) -> CheckpointHold {
        self.copies.fetch_add(1, Ordering::AcqRel);
        CheckpointHold(self.clone())
    }

    fn is_held(&self) -> bool {
        self.copies.load(Ordering::Acquire) > 0
    }

    /// After a failed sync no write can be promised: the kernel may have dropped the pages that it could not write.
    fn check(&self) -> Result<(), StoreError> {
        self.stopped.get().map_or(Ok(()), |stopped| Err(stopped.clone()))
    }

    fn is_large(&self) -> bool {
        self.file.metadata().is_ok_and(|wal| wal.len() > CHECKPOINT_BYTES)
    }

    async fn sync(&self) -> Result<(), StoreError> {
        let file = self.file.clone();
        let synced = tokio::task::spawn_blocking(move || file.sync_data()).await.map_err(io::Error::other);
        synced.flatten().map_err(|error| {
            let stopped = StoreError::Stopped { file: self.path.clone(), source: Arc::new(error) };
            tracing::error!("{stopped}");
            self.stopped.get_or_init(|| stopped).clone()
        })
    }
}

/// Syncs behind the writer until it is aborted.
async fn sync_behind(wal: Arc<Wal>) {
    loop {
        wal.dirty.notified().await;
        tokio::time::sleep(SYNC_DELAY).await;
        if wal.sync().await.is_err() {
            return;
        }
    }
}
