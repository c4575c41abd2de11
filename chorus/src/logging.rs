//! Log lines go to standard error, for the operator on call. Standard output is for a command's results.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Warnings. `notify` has one for each watched folder that is deleted, which is no cause for concern.
const DEFAULT: &str = "warn,notify=error";

/// How to log.
#[derive(Debug, Args)]
pub struct Options {
    /// The log filter: a level, or levels by module as in `info,chorus_host=debug`
    #[arg(long, env = "CHORUS_LOG", default_value = DEFAULT, global = true, help_heading = "Logging")]
    log: String,
    /// The format of log lines
    #[arg(long, env = "CHORUS_LOG_FORMAT", value_enum, default_value_t, global = true, help_heading = "Logging")]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Colours are for terminals: not for files, and not where they are disabled (<https://no-color.org>).
fn has_colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Logs from here on. An invalid filter is reported, and replaced by `warn`.
pub fn start(options: &Options) {
    let filter = EnvFilter::try_new(&options.log).unwrap_or_else(|error| {
        eprintln!("chorus: --log {:?} is not a filter ({error}); logging warnings", options.log);
        EnvFilter::new(DEFAULT)
    });
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(has_colours());
    match options.log_format {
        Format::Text => lines.init(),
        Format::Json => lines.json().init(),
    }
}
