//! A few connections, lent to one call at a time: all of Postgres's, and the readers of SQLite.
//!
//! sqlx's pool is unsuitable: it pings the database each time a connection is returned, and waits for the answer without a
//! limit. That doubles the round trips (with SQLite, the switches to its thread and back), and a network that drops packets
//! empties the pool for as long as TCP retransmits. Here only a successful call returns its connection; after any other (failed,
//! timed out, dropped by its caller) the connection is dropped, and its statement ends on the server, too.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use sqlx::Connection;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// A connection that was idle for longer is tested before use: it may be dead.
const MAX_UNTESTED_IDLE: Duration = Duration::from_secs(1);

pub(crate) struct Pool<C: Connection> {
    connect: C::Options,
    /// The limit of a whole [`Pool::acquire`].
    acquire_timeout: Duration,
    /// One for each connection that may be lent. The queue for them is as long as the number of callers, each of which waits
    /// for at most `acquire_timeout`.
    permits: Semaphore,
    /// The connection used last is at the end, and is the next to be used.
    idle: Mutex<Vec<Idle<C>>>,
}

struct Idle<C> {
    db: C,
    since: Instant,
}

/// A connection on loan.
pub(crate) struct Lent<'p, C: Connection> {
    pub db: C,
    pool: &'p Pool<C>,
    _permit: SemaphorePermit<'p>,
}

impl<C: Connection> std::fmt::Debug for Pool<C> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Pool").field("available", &self.permits.available_permits()).finish_non_exhaustive()
    }
}

impl<C: Connection> Pool<C> {
    pub fn new(connect: C::Options, connections: u32, acquire_timeout: Duration) -> Pool<C> {
        let permits = Semaphore::new(connections.max(1) as usize);
        Pool { connect, acquire_timeout, permits, idle: Mutex::default() }
    }

    pub async fn acquire(&self) -> Result<Lent<'_, C>, sqlx::Error> {
        timeout(self.acquire_timeout, self.acquire_one()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn acquire_one(&self) -> Result<Lent<'_, C>, sqlx::Error> {
        let permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let db = match self.idle_connection().await {
            Some(db) => db,
            None => C::connect_with(&self.connect).await?,
        };
        Ok(Lent { db, pool: self, _permit: permit })
    }

    /// An idle connection that works.
    async fn idle_connection(&self) -> Option<C> {
        let Idle { mut db, since } = self.idle().pop()?;
        if since.elapsed() < MAX_UNTESTED_IDLE {
            return Some(db);
        }
        match timeout(self.acquire_timeout / 2, db.ping()).await {
            Ok(Ok(())) => Some(db),
            // The others have been idle for even longer, and died with this one.
            _ => {
                self.idle().clear();
                None
            }
        }
    }

    /// Refuses further loans. Connections on loan end with their calls.
    pub async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        let part = async {
            for Idle { db, .. } in idle {
                // It is the end of it either way.
                let _ = db.close().await;
            }
        };
        let _ = timeout(self.acquire_timeout, part).await;
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle<C>>> {
        self.idle.lock().expect("nothing panics under this lock")
    }
}

impl<C: Connection> Lent<'_, C> {
    /// For the next call.
    pub fn release(self) {
        if !self.pool.permits.is_closed() {
            self.pool.idle().push(Idle { db: self.db, since: Instant::now() });
        }
    }
}
