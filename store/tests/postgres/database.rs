//! A schema of a story's own in the shared database.

use std::sync::atomic::{AtomicU32, Ordering};

use chorus_store::{PostgresOptions, Store, migrate_postgres};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

pub const MIGRATIONS: [i64; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

/// A store in a schema of its own.
pub struct Place {
    pub store: Store,
    pub options: PostgresOptions,
    pub schema: String,
}

/// An address of a schema with an unused name, which does not exist yet.
fn address(url: &str) -> (PostgresOptions, String) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let schema = format!("chorus_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    (in_schema(url, &schema), schema)
}

/// Its connections have the schema's name, so that a story can identify them.
pub fn in_schema(url: &str, schema: &str) -> PostgresOptions {
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}options[search_path]={schema}&application_name={schema}");
    url.parse().expect("a URL")
}

pub async fn empty() -> Option<(PostgresOptions, String)> {
    let (options, schema) = address(&chorus_services::postgres()?);
    run(&format!("CREATE SCHEMA {schema}")).await;
    Some((options, schema))
}

pub async fn fresh(_story: &str) -> Option<Place> {
    let (options, schema) = empty().await?;
    assert_eq!(migrate_postgres(&options).await.expect("migrated"), MIGRATIONS);
    let store = Store::open_postgres(&options).await.expect("opens");
    Some(Place { store, options, schema })
}

impl Place {
    pub async fn leave(self) {
        // The story may have closed it.
        let _ = self.store.close().await;
        run(&format!("DROP SCHEMA {} CASCADE", self.schema)).await;
    }

    /// Makes a change that no store would make.
    pub async fn tamper(&self, sql: &str) {
        run(&format!("SET search_path = {}; {sql}", self.schema)).await;
    }
}

pub async fn admin() -> PgConnection {
    PgConnection::connect(&chorus_services::postgres().expect("checked")).await.expect("a database")
}

async fn run(sql: &str) {
    let mut db = admin().await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut db).await.expect(sql);
    db.close().await.expect("closed");
}
