//! Reports of a cluster.

use sqlx::{PgConnection, QueryBuilder};

use super::{Call, Failed};
use crate::{
    ReportRow,
    reports::{Add, Columns, List, TRIM_AT_ONCE, Trim, place, row},
    row::{id, millis, number},
};

impl Call for Add {
    type Output = ();
    const ACTION: &'static str = "add a report";

    async fn call(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let add = "INSERT INTO reports VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
        let ReportRow { room, kind, report } = &self.row;
        sqlx::query(add)
            .bind(id(room.0))
            .bind(number(report.number.offset))
            .bind(i64::from(report.number.index))
            .bind(kind.as_str())
            .bind(id(report.session.0))
            .bind(report.player.id.as_ref())
            .bind(report.player.name.as_ref())
            .bind(report.reason.as_ref())
            .bind(report.data.as_str())
            .bind(number(report.at.0))
            .execute(db)
            .await?;
        Ok(())
    }
}

impl Call for List {
    type Output = Vec<ReportRow>;
    const ACTION: &'static str = "list reports";

    async fn call(&self, db: &mut PgConnection) -> Result<Vec<ReportRow>, Failed> {
        // Only the given conditions: "no player, or this one" would keep the planner from using the index of players.
        let (at, room, offset, index) = place(self.after);
        let mut list = QueryBuilder::new(r#"SELECT * FROM reports WHERE (reported_at, room, "offset", "index") < ("#);
        list.push_bind(at)
            .push(", ")
            .push_bind(room)
            .push(", ")
            .push_bind(offset)
            .push(", ")
            .push_bind(index)
            .push(")");
        if let Some(player) = &self.player {
            list.push(" AND player = ").push_bind(player.clone());
        }
        list.push(r#" ORDER BY reported_at DESC, room DESC, "offset" DESC, "index" DESC LIMIT "#);
        let found: Vec<Columns> = list.push_bind(i64::from(self.limit)).build_query_as().fetch_all(db).await?;
        Ok(found.into_iter().map(row).collect::<Result<_, _>>()?)
    }
}

impl Call for Trim {
    type Output = u64;
    const ACTION: &'static str = "delete old reports";

    async fn call(&self, db: &mut PgConnection) -> Result<u64, Failed> {
        let trim = r#"DELETE FROM reports WHERE (room, "offset", "index") IN (
                          SELECT room, "offset", "index" FROM reports
                          WHERE reported_at <= (extract(epoch FROM now()) * 1000)::bigint - $1
                          UNION
                          (SELECT room, "offset", "index" FROM reports
                           ORDER BY reported_at DESC, room DESC, "offset" DESC, "index" DESC OFFSET $2)
                          LIMIT $3)"#;
        let trim =
            sqlx::query(trim).bind(millis(self.older_than)).bind(number(self.most)).bind(i64::from(TRIM_AT_ONCE));
        Ok(trim.execute(db).await?.rows_affected())
    }
}
