//! The statements that the stories run, and whether each finds its rows by an index: one that reads a whole table is quick with the
//! rows of a test, and takes minutes with those of ten thousand rooms.

use std::{
    collections::BTreeSet,
    fmt,
    path::Path,
    sync::{Mutex, Once},
};

use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, filter, layer::Context, prelude::*};

/// The tables that grow with players, rooms or time.
const GROWING: [&str; 7] = ["sessions", "memberships", "rooms", "snapshots", "reports", "bans", "logouts"];

/// What may read a whole table, by the beginning of its text, with the reason.
const MAY_SCAN: [&str; 3] = [
    // Once a start, whether the data is whole, and whether the log is as long as the store knows.
    "SELECT id FROM rooms WHERE status = 'live'\n",
    "SELECT max(\"offset\") FROM",
    // A test's own.
    "UPDATE snapshots SET state = x'00'",
];

/// Made for audits only, so that a statement may not have it.
const KEPT_HASHES: &str = "kept_hashes";

static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Keeps the text of each statement that any store of this process runs from now on.
pub fn record() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let only = filter::Targets::new().with_target("sqlx::query", tracing::Level::TRACE);
        tracing_subscriber::registry().with(Recorder.with_filter(only)).init();
    });
}

struct Recorder;

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        // A statement of four words or less is its own summary.
        let statement = if text.statement.trim().is_empty() { text.summary } else { text.statement };
        STATEMENTS.lock().expect("not poisoned").insert(statement.trim().to_owned());
    }
}

#[derive(Default)]
struct Text {
    summary: String,
    statement: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => self.summary = value.to_owned(),
            "db.statement" => self.statement = value.to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Of all that were recorded, by the plans of this database.
pub async fn assert_indexed(path: &Path) {
    let options = SqliteConnectOptions::new().filename(path);
    let mut db = SqliteConnection::connect_with(&options).await.expect("opens");
    sqlx::query("CREATE TEMP TABLE clock (now INTEGER NOT NULL)").execute(&mut db).await.expect("as the writer has it");
    let texts: Vec<String> = STATEMENTS.lock().expect("not poisoned").iter().cloned().collect();
    let statements = texts.iter().flat_map(|text| text.split(';')).map(str::trim);
    let has_plan =
        |text: &&str| ["SELECT", "UPDATE", "DELETE", "INSERT", "WITH"].iter().any(|word| text.starts_with(word));
    let mut scans = Vec::new();
    for statement in statements.filter(has_plan).filter(|text| !text.contains(KEPT_HASHES)) {
        let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
        let steps = plan.fetch_all(&mut db).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        for step in steps {
            let step: String = step.get("detail");
            // In the order of an index, a list with a limit reads only what it returns.
            let scanned = step.strip_prefix("SCAN ").filter(|table| GROWING.contains(table));
            if scanned.is_some() && !MAY_SCAN.iter().any(|text| statement.starts_with(text)) {
                scans.push(format!("{step}\n    {statement}"));
            }
        }
    }
    db.close().await.expect("closed");
    assert!(scans.is_empty(), "these read whole tables:\n{}", scans.join("\n"));
}
