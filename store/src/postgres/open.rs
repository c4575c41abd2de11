//! Opening a cluster's database, and migrating its tables. These are separate: many machines open it, one operator migrates it.

use std::sync::OnceLock;

use chorus_core::ids::Time;
use sqlx::{
    Connection, PgConnection,
    migrate::{MigrateError, Migrator},
};

use super::{Call, Failed, Postgres, PostgresOptions};
use crate::{Clock, OpenError, pool::Pool, row::Table};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

impl Postgres {
    pub async fn open(options: &PostgresOptions) -> Result<Postgres, OpenError> {
        let pool = Pool::new(options.session(), options.connections, options.acquire);
        let clock = Clock::starting_at(Time(0));
        let postgres = Postgres { pool, options: options.clone(), partitions: OnceLock::new(), clock };
        match postgres.check().await {
            Ok(clock) => Ok(Postgres { clock: options.clock.clone().unwrap_or(clock), ..postgres }),
            Err(error) => {
                postgres.close().await;
                Err(error)
            }
        }
    }

    /// Checks the tables, and returns the database's clock.
    async fn check(&self) -> Result<Clock, OpenError> {
        let database = self.options.to_string();
        let failed = |source| OpenError::Store { database: database.clone(), source };
        let applied = self.call(&ReadSchema).await.map_err(failed)?;
        let clock = self.call(&ReadClock).await.map_err(failed)?;
        compare(database, &applied).map(|()| clock)
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

struct ReadClock;

impl Call for ReadClock {
    type Output = Clock;
    const ACTION: &'static str = "read the clock";

    async fn call(&self, db: &mut PgConnection) -> Result<Clock, Failed> {
        let now = sqlx::query_scalar::<_, i64>("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
        Ok(Clock::starting_at(Time(Table("the clock").number(now.fetch_one(db).await?)?)))
    }
}

/// The migrations recorded in a database.
#[derive(Debug, Default)]
struct Schema {
    /// Each version with its checksum.
    applied: Vec<(i64, Vec<u8>)>,
    /// The newest migration without which older binaries cannot run.
    needs: i64,
}

fn compare(database: String, schema: &Schema) -> Result<(), OpenError> {
    for known in MIGRATIONS.iter() {
        let migration = known.version;
        match schema.applied.iter().find(|(applied, _)| *applied == migration) {
            None => return Err(OpenError::NotMigrated { database, migration }),
            Some((_, checksum)) if *checksum != *known.checksum => {
                return Err(OpenError::Changed { database, migration });
            }
            Some(_) => {}
        }
    }
    match MIGRATIONS.version_exists(schema.needs) {
        true => Ok(()),
        false => Err(OpenError::Newer { database, migration: schema.needs }),
    }
}

struct ReadSchema;

impl Call for ReadSchema {
    type Output = Schema;
    const ACTION: &'static str = "read which migrations it has had";

    async fn call(&self, db: &mut PgConnection) -> Result<Schema, Failed> {
        Ok(schema(db).await?)
    }
}

async fn schema(db: &mut PgConnection) -> Result<Schema, sqlx::Error> {
    let ready = sqlx::query_scalar::<_, bool>("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
    if !ready.fetch_one(&mut *db).await? {
        return Ok(Schema::default());
    }
    let applied = sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version");
    let applied: Vec<_> = applied.fetch_all(&mut *db).await?;
    if applied.is_empty() {
        return Ok(Schema::default());
    }
    let needs = sqlx::query_scalar("SELECT value FROM settings WHERE name = 'needs_migration'");
    Ok(Schema { applied, needs: needs.fetch_one(db).await? })
}

/// Migrates the tables of a cluster's database; `chorus migrate`. Returns the migrations that were applied. Concurrent calls
/// are safe: one migrates, the others wait for it. Machines of the previous version may run meanwhile.
pub async fn migrate_postgres(options: &PostgresOptions) -> Result<Vec<i64>, OpenError> {
    let database = options.to_string();
    let unreached = |source| OpenError::Database { database: database.clone(), source };
    // Without the limits of a session: a migration may take any time.
    let mut db = PgConnection::connect_with(&options.connect).await.map_err(unreached)?;
    let before = schema(&mut db).await.map_err(unreached)?.applied;
    MIGRATIONS.run(&mut db).await.map_err(|error| cannot_migrate(&database, error))?;
    let after = schema(&mut db).await.map_err(unreached)?.applied;
    // The migrations are done; a failure to close changes nothing.
    let _ = db.close().await;
    Ok(after.into_iter().filter(|migration| !before.contains(migration)).map(|(migration, _)| migration).collect())
}

fn cannot_migrate(database: &str, error: MigrateError) -> OpenError {
    let database = database.to_owned();
    match error {
        MigrateError::VersionMissing(migration) => OpenError::Newer { database, migration },
        MigrateError::VersionMismatch(migration) => OpenError::Changed { database, migration },
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            OpenError::Database { database, source }
        }
        other => OpenError::Database { database, source: sqlx::Error::Migrate(Box::new(other)) },
    }
}
