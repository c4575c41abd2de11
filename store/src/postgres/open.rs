//! Opening a cluster's database, and bringing its tables up to date. Two things: many machines open it, and one
//! operator migrates it.

use std::sync::OnceLock;

use chorus_core::ids::Time;
use sqlx::{
    Connection, PgConnection,
    migrate::{MigrateError, Migrator},
};

use super::{Call, Failed, Postgres, PostgresOptions, pool::Pool};
use crate::{Clock, OpenError, row::From};

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

    /// The database's clock, when its tables are what they must be.
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
    const DOING: &'static str = "read the clock";

    async fn call(&self, db: &mut PgConnection) -> Result<Clock, Failed> {
        let now = sqlx::query_scalar::<_, i64>("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
        Ok(Clock::starting_at(Time(From("the clock").number(now.fetch_one(db).await?)?)))
    }
}

/// What a database says of its migrations.
#[derive(Debug, Default)]
struct Schema {
    /// Each with its checksum.
    applied: Vec<(i64, Vec<u8>)>,
    /// The newest migration that older binaries cannot live without.
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
    const DOING: &'static str = "read which migrations it has had";

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

/// Brings the tables of a cluster's database up to date; `chorus migrate`. Which migrations that took. Several may do
/// this at once: one does it, the others wait for it. Machines of the version before may go on running meanwhile.
pub async fn migrate_postgres(options: &PostgresOptions) -> Result<Vec<i64>, OpenError> {
    let database = options.to_string();
    let unreached = |source| OpenError::Database { database: database.clone(), source };
    // Without the limits of a session: a migration takes what it takes.
    let mut db = PgConnection::connect_with(&options.connect).await.map_err(unreached)?;
    let before = schema(&mut db).await.map_err(unreached)?.applied;
    MIGRATIONS.run(&mut db).await.map_err(|error| cannot_migrate(&database, error))?;
    let after = schema(&mut db).await.map_err(unreached)?.applied;
    // It has done its work; that it cannot say good-bye changes nothing.
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
