//! Real services for tests in Rust: the services of `services.mjs`, as values that end with the test.
//!
//! Tests that share a broker or a database take its address from [`kafka`] and [`postgres`]; tests that kill one start their
//! own. Without the variables, which `services.mjs … -- COMMAND` sets, both are skipped, with a message on the standard error.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The broker that tests share, if there is one.
pub fn kafka() -> Option<String> {
    given("CHORUS_TEST_KAFKA")
}

/// The number of replicas that the broker's cluster should keep of each record.
pub fn replication() -> u32 {
    env::var("CHORUS_TEST_KAFKA_REPLICATION").ok().and_then(|copies| copies.parse().ok()).unwrap_or(1)
}

/// The URL of the database that tests share, for its superuser, if there is one.
pub fn postgres() -> Option<String> {
    given("CHORUS_TEST_POSTGRES")
}

fn given(variable: &str) -> Option<String> {
    let value = env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        skipped(variable);
    }
    value
}

#[allow(clippy::print_stderr)]
fn skipped(variable: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!(
        "\n*** SKIPPED {test}: {variable} is not set. Run it by: node testing/services/services.mjs -- cargo test …\n"
    );
}

/// Services of a test's own, which it may kill. They end when this is dropped.
#[derive(Debug)]
pub struct Services {
    child: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    addresses: serde_json::Value,
}

impl Services {
    /// Starts this many brokers; `None` when tests may not start services here.
    ///
    /// # Panics
    /// When they cannot be started: the remedy is on the standard error.
    pub fn brokers(count: u32) -> Option<Services> {
        Services::start(&["kafka", "--brokers", &count.to_string()])
    }

    /// Starts a database.
    ///
    /// # Panics
    /// As [`Services::brokers`].
    pub fn database() -> Option<Services> {
        Services::start(&["postgres"])
    }

    fn start(arguments: &[&str]) -> Option<Services> {
        let script = given("CHORUS_TEST_SERVICES")?;
        let mut command = Command::new("node");
        command.arg(script).args(arguments).arg("--own").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("node is on the PATH");
        let commands = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut services = Services { child, commands, replies, addresses: serde_json::Value::Null };
        services.addresses = services.read_reply();
        Some(services)
    }

    /// The brokers' addresses, as a client needs them.
    pub fn kafka(&self) -> &str {
        self.addresses["kafka"].as_str().expect("it has started brokers")
    }

    /// The database's address.
    pub fn postgres(&self) -> &str {
        self.addresses["postgres"].as_str().expect("it has started a database")
    }

    /// Kills or starts a service, and returns when that is done: `kill kafka 0`, `start kafka 0`, `kill postgres`,
    /// `stop postgres`, `start postgres`.
    ///
    /// # Panics
    /// When it fails.
    pub fn command(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("it is there until it is dropped");
        writeln!(commands, "{command}").expect("the services run");
        let reply = self.read_reply();
        assert_eq!(reply["done"], command, "{reply}");
    }

    fn read_reply(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("the services run");
        serde_json::from_str(&line).expect("it prints JSON, and its errors to the standard error")
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        drop(self.commands.take()); // It ends with its input.
        let _ = self.child.wait();
    }
}
