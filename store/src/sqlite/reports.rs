//! Reports, embedded.

use sqlx::SqliteConnection;

use super::{Read, Write, now};
use crate::{
    ReportRow, StoreError,
    reports::{Add, List, TRIM_AT_ONCE, Trim, place, row},
    row::{id, millis, number},
};

impl Write for Add {
    type Output = ();

    async fn apply(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let add = "INSERT INTO reports VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
        let ReportRow { room, kind, report } = &self.row;
        let added = sqlx::query(add)
            .bind(id(room.0))
            .bind(number(report.number.offset))
            .bind(report.number.index)
            .bind(kind.as_str())
            .bind(id(report.session.0))
            .bind(report.player.id.as_ref())
            .bind(report.player.name.as_ref())
            .bind(report.reason.as_ref())
            .bind(report.data.as_str())
            .bind(number(report.at.0))
            .execute(db)
            .await;
        added.map(drop).map_err(StoreError::at("add a report"))
    }
}

impl Read for List {
    type Output = Vec<ReportRow>;

    async fn read(&self, db: &mut SqliteConnection) -> Result<Vec<ReportRow>, StoreError> {
        let list = r#"SELECT * FROM reports WHERE (?1 IS NULL OR player = ?1)
                      AND (reported_at, room, "offset", "index") < (?2, ?3, ?4, ?5)
                      ORDER BY reported_at DESC, room DESC, "offset" DESC, "index" DESC LIMIT ?6"#;
        let (at, room, offset, index) = place(self.after);
        let list = sqlx::query_as(list).bind(self.player.as_deref()).bind(at).bind(room).bind(offset).bind(index);
        let found = list.bind(self.limit).fetch_all(db).await;
        found.map_err(StoreError::at("list reports"))?.into_iter().map(row).collect()
    }
}

impl Write for Trim {
    type Output = u64;

    async fn apply(&self, db: &mut SqliteConnection) -> Result<u64, StoreError> {
        let trim = concat!(
            r#"DELETE FROM reports WHERE (room, "offset", "index") IN (
                   SELECT room, "offset", "index" FROM reports WHERE reported_at <= "#,
            now!(),
            r#" - ?1 UNION
                   SELECT room, "offset", "index" FROM (
                       SELECT * FROM reports ORDER BY reported_at DESC, room DESC, "offset" DESC, "index" DESC LIMIT -1 OFFSET ?2)
                   LIMIT ?3)"#
        );
        let trim = sqlx::query(trim).bind(millis(self.older_than)).bind(number(self.most)).bind(TRIM_AT_ONCE);
        let trimmed = trim.execute(db).await.map_err(StoreError::at("delete old reports"))?;
        Ok(trimmed.rows_affected())
    }
}
