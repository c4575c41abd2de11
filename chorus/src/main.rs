//! The `chorus` binary: parses, sets up logs, and calls one `run`.

mod admission;
mod audit;
mod backup;
mod cache;
mod cluster;
mod data;
mod dev;
mod error_chain;
mod groups;
mod identity;
mod load;
mod logging;
mod operate;
mod page;
mod printable;
mod reference;
mod seconds;
mod secrets;
mod serve;
mod stop;
mod tls;
mod token;
mod web;

use std::{process::ExitCode, time::Duration};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use mimalloc::MiMalloc;

/// A process creates and drops rooms by the thousand. When a room hibernates, the C library's allocator keeps most of its
/// memory, 67 KiB per room; version 2 of this one keeps 16 KiB, and version 3, 55 KiB. 1.6 KiB are in use.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Rooms for multiplayer software: durable, sandboxed, hot-swappable.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Chorus {
    #[command(flatten)]
    logging: logging::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(Box<dev::Options>),
    Serve(Box<serve::Options>),
    Edge(Box<cluster::edge::Options>),
    Host(cluster::host::Options),
    Monitor(cluster::monitor::Options),
    Migrate(cluster::migrate::Options),
    Status(operate::status::Options),
    Machine(operate::machine::Options),
    Room(operate::room::Options),
    Player(operate::player::Options),
    Publish(operate::publish::Options),
    Swap(operate::swap::Options),
    Backup(backup::Options),
    Restore(backup::restore::Options),
    Token(token::Options),
    Load(load::Options),
    Audit(audit::Options),
    /// Prints all commands and flags as JSON, for the documentation
    #[command(hide = true)]
    Reference,
}

/// The time for tasks that end once everything else has.
const LAST_TASKS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let matches = Chorus::command().get_matches();
    let as_json = is_json(&matches);
    let Chorus { logging, command } = Chorus::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Command::Reference = command {
        reference::print::<Chorus>();
        return ExitCode::SUCCESS;
    }
    logging::start(&logging);
    #[cfg(feature = "planted-bugs")]
    if let Ok(name) = std::env::var("CHORUS_PLANT") {
        tracing::error!("this process has a bug on purpose: {name}");
        chorus_core::planted::plant(&name);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a process that cannot start threads cannot do anything");
    let done = runtime.block_on(async {
        match command {
            Command::Dev(options) => dev::run(*options).await,
            Command::Serve(options) => serve::run(*options).await,
            Command::Edge(options) => cluster::run::<cluster::edge::Serving>(*options).await,
            Command::Host(options) => cluster::run::<cluster::host::Serving>(options).await,
            Command::Monitor(options) => cluster::run::<cluster::monitor::Serving>(options).await,
            Command::Migrate(options) => cluster::migrate::run(options).await,
            Command::Status(options) => operate::status::run(options).await,
            Command::Machine(options) => operate::machine::run(options).await,
            Command::Room(options) => operate::room::run(options).await,
            Command::Player(options) => operate::player::run(options).await,
            Command::Publish(options) => operate::publish::run(options).await,
            Command::Swap(options) => operate::swap::run(options).await,
            Command::Backup(options) => backup::run(options).await,
            Command::Restore(options) => backup::restore::run(options).await,
            Command::Token(options) => token::run(options),
            Command::Load(options) => load::run(options).await,
            Command::Audit(options) => audit::run(options).await,
            Command::Reference => unreachable!("it was printed above"),
        }
    });
    // Tasks that still run (a guest in the middle of a call, a lookup) are not waited for.
    runtime.shutdown_timeout(LAST_TASKS);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error_chain::of(&error);
            match as_json {
                true if error.is::<error_chain::Reported>() => {}
                true => println!("{}", serde_json::json!({ "ok": false, "error": text })),
                false => eprintln!("{}", printable::lines(&format!("chorus: {text}"))),
            }
            ExitCode::FAILURE
        }
    }
}

/// Whether the command was given `--json`: then its errors are JSON too.
fn is_json(matches: &ArgMatches) -> bool {
    let here = matches.try_get_one::<bool>("json").ok().flatten().is_some_and(|is_given| *is_given);
    here || matches.subcommand().is_some_and(|(_, matches)| is_json(matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_a_flag_of_the_command_at_any_depth() {
        let is_json = |line: &str| is_json(&Chorus::command().get_matches_from(line.split(' ')));
        assert!(is_json("chorus status --json"));
        assert!(is_json("chorus room ls --json"));
        assert!(!is_json("chorus room ls"));
        assert!(!is_json("chorus dev"));
    }
}
