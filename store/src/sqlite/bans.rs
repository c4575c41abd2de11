//! Bans and logouts, embedded.

use chorus_core::identity::Standing;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{Read, Write, now};
use crate::{
    Ban, StoreError,
    bans::{Add, Columns, DeleteEnded, FindStanding, List, LogOut, Remove, StandingColumns, ban, standing},
    row::{millis, number},
};

impl Write for Add {
    type Output = Ban;
    const DURABLE: bool = true;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<Ban, StoreError> {
        let at = StoreError::at("ban a player");
        let add = concat!(
            "INSERT INTO bans (target, reason, note, created_at, ends_at) VALUES (?1, ?2, ?3, ",
            now!(),
            ", ",
            now!(),
            " + ?4)
             ON CONFLICT (target) DO UPDATE SET reason = excluded.reason, note = excluded.note,
                 created_at = excluded.created_at, ends_at = excluded.ends_at
             RETURNING target, reason, note, created_at, ends_at"
        );
        let add = sqlx::query_as::<_, Columns>(add).bind(self.0.target.to_string()).bind(&self.0.reason);
        let add = add.bind(&self.0.note).bind(self.0.lasts.map(millis));
        ban(add.fetch_one(db).await.map_err(at)?)
    }
}

impl Write for Remove {
    type Output = bool;
    const DURABLE: bool = true;
    const READS_CLOCK: bool = false;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM bans WHERE target = ?1").bind(self.target.to_string()).execute(db).await;
        Ok(removed.map_err(StoreError::at("lift a ban"))?.rows_affected() > 0)
    }
}

impl Read for List {
    type Output = Vec<Ban>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Vec<Ban>, StoreError> {
        let list = "SELECT target, reason, note, created_at, ends_at FROM bans
                    WHERE target >= coalesce(?1, '') AND target <= coalesce(?1, char(1114111)) AND target > coalesce(?2, '')
                        AND (ends_at IS NULL OR ends_at > ?4)
                    ORDER BY target LIMIT ?3";
        let text = |target: &Option<chorus_core::identity::BanTarget>| target.as_ref().map(ToString::to_string);
        let list = sqlx::query_as::<_, Columns>(list).bind(text(&self.only)).bind(text(&self.after));
        let rows = list.bind(self.limit).bind(number(self.now.0)).fetch_all(db).await;
        rows.map_err(StoreError::at("list bans"))?.into_iter().map(ban).collect()
    }
}

impl Write for LogOut {
    type Output = ();
    const DURABLE: bool = true;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let log_out = concat!(
            "INSERT INTO logouts (kind, id, at, ends_at) VALUES (?1, ?2, ",
            now!(),
            ", ",
            now!(),
            " + ?3)
             ON CONFLICT (kind, id) DO UPDATE SET at = max(at, excluded.at), ends_at = max(ends_at, excluded.ends_at)"
        );
        let (kind, id) = self.key();
        let log_out = sqlx::query(log_out).bind(kind).bind(id).bind(millis(self.lasts));
        log_out.execute(db).await.map(drop).map_err(StoreError::at("log out a player"))
    }
}

impl Read for FindStanding {
    type Output = Standing;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Standing, StoreError> {
        let now = number(self.now.0);
        let mut find: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT (SELECT reason FROM bans WHERE target IN (");
        let mut targets = find.separated(", ");
        for target in self.targets() {
            targets.push_bind(target);
        }
        find.push(") AND (ends_at IS NULL OR ends_at > ").push_bind(now).push(") ORDER BY created_at LIMIT 1), ");
        find.push("(SELECT at FROM logouts WHERE kind = 'player' AND id = ").push_bind(self.of.account.as_deref());
        find.push(" AND ends_at > ").push_bind(now);
        find.push("), EXISTS (SELECT 1 FROM logouts WHERE kind = 'token' AND id = ");
        find.push_bind(self.of.token_id.as_deref()).push(" AND ends_at > ").push_bind(now).push(")");
        let found = find.build_query_as::<StandingColumns>().fetch_one(db).await;
        standing(found.map_err(StoreError::at("look up bans"))?)
    }
}

impl Write for DeleteEnded {
    type Output = u64;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<u64, StoreError> {
        let at = StoreError::at("delete ended bans");
        let mut deleted = 0;
        for statement in [
            concat!("DELETE FROM bans WHERE ends_at <= ", now!()),
            concat!("DELETE FROM logouts WHERE ends_at <= ", now!()),
        ] {
            deleted += sqlx::query(statement).execute(&mut *db).await.map_err(&at)?.rows_affected();
        }
        Ok(deleted)
    }
}
