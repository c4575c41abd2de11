//! A few connections, lent to one call at a time.
//!
//! sqlx's pool is unsuitable: it pings the database each time a connection is returned, and waits for the answer without a
//! limit. That doubles the round trips, and a network that drops packets empties the pool for as long as TCP retransmits. Here
//! only a successful call returns its connection; after any other (failed, timed out, dropped by its caller) the connection is
//! dropped, and its statement ends on the server, too.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// A connection that was idle for longer is tested before use: it may be dead.
const MAX_UNTESTED_IDLE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pool {
    connect: PgConnectOptions,
    /// The limit of a whole [`Pool::acquire`].
    acquire_timeout: Duration,
    /// One for each connection that may be lent. The queue for them is as long as the number of callers, each of which waits
    /// for at most `acquire_timeout`.
    permits: Semaphore,
    /// The connection used last is at the end, and is the next to be used.
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    db: PgConnection,
    since: Instant,
}

/// A connection on loan.
#[derive(Debug)]
pub(super) struct Lent<'p> {
    pub db: PgConnection,
    pool: &'p Pool,
    _permit: SemaphorePermit<'p>,
}

impl Pool {
    pub fn new(connect: PgConnectOptions, connections: u32, acquire_timeout: Duration) -> Pool {
        let permits = Semaphore::new(connections.max(1) as usize);
        Pool { connect, acquire_timeout, permits, idle: Mutex::default() }
    }

    pub async fn acquire(&self) -> Result<Lent<'_>, sqlx::Error> {
        timeout(self.acquire_timeout, self.acquire_one()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn acquire_one(&self) -> Result<Lent<'_>, sqlx::Error> {
        let permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let db = match self.idle_connection().await {
            Some(db) => db,
            None => PgConnection::connect_with(&self.connect).await?,
        };
        Ok(Lent { db, pool: self, _permit: permit })
    }

    /// An idle connection that works.
    async fn idle_connection(&self) -> Option<PgConnection> {
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

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().expect("nothing panics under this lock")
    }
}

impl Lent<'_> {
    /// For the next call.
    pub fn release(self) {
        if !self.pool.permits.is_closed() {
            self.pool.idle().push(Idle { db: self.db, since: Instant::now() });
        }
    }
}
