//! Bans and logouts of a cluster.

use chorus_core::identity::{BanTarget, Standing};
use sqlx::PgConnection;

use super::{Call, Failed};
use crate::{
    Ban,
    bans::{Add, Columns, DeleteEnded, FindStanding, List, LogOut, Remove, StandingColumns, ban, standing},
    row::millis,
};

/// The columns of a ban.
macro_rules! columns {
    () => {
        "target, reason, note, (extract(epoch FROM created_at) * 1000)::bigint,
         (extract(epoch FROM ends_at) * 1000)::bigint"
    };
}

impl Call for Add {
    type Output = Ban;
    const ACTION: &'static str = "ban a player";

    async fn call(&self, db: &mut PgConnection) -> Result<Ban, Failed> {
        let add = concat!(
            "INSERT INTO bans (target, reason, note, created_at, ends_at)
             VALUES ($1, $2, $3, now(), now() + $4 * interval '1 ms')
             ON CONFLICT (target) DO UPDATE SET reason = excluded.reason, note = excluded.note,
                 created_at = excluded.created_at, ends_at = excluded.ends_at
             RETURNING ",
            columns!()
        );
        let add = sqlx::query_as::<_, Columns>(add).bind(self.0.target.to_string()).bind(&self.0.reason);
        let add = add.bind(&self.0.note).bind(self.0.lasts.map(|lasts| millis(lasts) as f64));
        Ok(ban(add.fetch_one(db).await?)?)
    }
}

impl Call for Remove {
    type Output = bool;
    const ACTION: &'static str = "lift a ban";

    async fn call(&self, db: &mut PgConnection) -> Result<bool, Failed> {
        let remove = sqlx::query("DELETE FROM bans WHERE target = $1").bind(self.target.to_string());
        Ok(remove.execute(db).await?.rows_affected() > 0)
    }
}

impl Call for List {
    type Output = Vec<Ban>;
    const ACTION: &'static str = "list bans";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<Ban>, Failed> {
        let list = concat!(
            "SELECT ",
            columns!(),
            " FROM bans WHERE ($1 IS NULL OR target = $1) AND ($2 IS NULL OR target > $2)
                  AND (ends_at IS NULL OR ends_at > now())
              ORDER BY target LIMIT $3"
        );
        let text = |target: &Option<BanTarget>| target.as_ref().map(ToString::to_string);
        let list = sqlx::query_as::<_, Columns>(list).bind(text(&self.only)).bind(text(&self.after));
        let rows = list.bind(i64::from(self.limit)).fetch_all(db).await?;
        Ok(rows.into_iter().map(ban).collect::<Result<_, _>>()?)
    }
}

impl Call for LogOut {
    type Output = ();
    const ACTION: &'static str = "log out a player";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let log_out = "INSERT INTO logouts (kind, id, at, ends_at)
                       VALUES ($1, $2, now(), now() + $3 * interval '1 ms')
                       ON CONFLICT (kind, id) DO UPDATE SET at = greatest(logouts.at, excluded.at),
                           ends_at = greatest(logouts.ends_at, excluded.ends_at)";
        let (kind, id) = self.key();
        sqlx::query(log_out).bind(kind).bind(id).bind(millis(self.lasts) as f64).execute(db).await?;
        Ok(())
    }
}

impl Call for FindStanding {
    type Output = Standing;
    const ACTION: &'static str = "look up bans";

    async fn call(&self, db: &mut PgConnection) -> Result<Standing, Failed> {
        let find = "SELECT (SELECT reason FROM bans WHERE target = ANY($1) AND (ends_at IS NULL OR ends_at > now())
                            ORDER BY created_at LIMIT 1),
                           (SELECT (extract(epoch FROM at) * 1000)::bigint FROM logouts
                            WHERE kind = 'player' AND id = $2 AND ends_at > now()),
                           EXISTS (SELECT 1 FROM logouts WHERE kind = 'token' AND id = $3 AND ends_at > now())";
        let find = sqlx::query_as::<_, StandingColumns>(find).bind(self.targets());
        let find = find.bind(self.of.account.as_deref()).bind(self.of.token_id.as_deref());
        Ok(standing(find.fetch_one(db).await?)?)
    }
}

impl Call for DeleteEnded {
    type Output = u64;
    const ACTION: &'static str = "delete ended bans";

    /// If interrupted, the next call deletes the others.
    async fn call(&self, db: &mut PgConnection) -> Result<u64, Failed> {
        let mut deleted = 0;
        for statement in ["DELETE FROM bans WHERE ends_at <= now()", "DELETE FROM logouts WHERE ends_at <= now()"] {
            deleted += sqlx::query(statement).execute(&mut *db).await?.rows_affected();
        }
        Ok(deleted)
    }
}
