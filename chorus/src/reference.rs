//! `chorus reference`: every command and flag as JSON, from the definitions that parse the command line. Hidden: it is for
//! `scripts/docs.mjs`, which makes the tables of flags in `docs/` from it.

use clap::{Arg, Command, CommandFactory};
use serde_json::{Value, json};

/// Prints the reference of this command line.
pub fn print<C: CommandFactory>() {
    println!("{}", reference(&C::command()));
}

fn reference(root: &Command) -> Value {
    let commands = root.get_subcommands().filter(|command| !command.is_hide_set());
    let all = std::iter::once(root).chain(commands).map(|command| {
        json!({
            "name": command.get_name(),
            "about": command.get_about().map(ToString::to_string),
            "flags": command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(flag).collect::<Vec<_>>(),
        })
    });
    Value::Array(all.collect())
}

/// `None`: a positional argument.
fn flag(arg: &Arg) -> Option<Value> {
    let name = arg.get_long()?;
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let takes_value = arg.get_action().takes_values();
    Some(json!({
        "name": name,
        "environment": arg.get_env().map(|name| name.to_string_lossy()),
        "default": takes_value.then(|| defaults.join(",")).filter(|text| !text.is_empty()),
        "heading": arg.get_help_heading(),
        "what": arg.get_help().map(ToString::to_string),
    }))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "tool")]
    struct Tool {
        /// How loud
        #[arg(long, default_value_t = 3, help_heading = "Noise")]
        loud: u8,
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Sub {
        /// Runs
        Run {
            /// Where to
            ///
            /// And more of it.
            #[arg(long = "to", env = "TOOL_TO", value_delimiter = ',', default_values_t = ["a".to_owned(), "b".to_owned()])]
            to: Vec<String>,
            /// Without a value
            #[arg(long)]
            fast: bool,
            what: String,
        },
        #[command(hide = true)]
        Secret,
    }

    #[test]
    fn every_flag_is_listed_as_it_is_parsed() {
        let flag = |name: &str, environment: Value, default: Value, heading: Value, what: &str| json!({ "name": name, "environment": environment, "default": default, "heading": heading, "what": what });
        let root = vec![flag("loud", Value::Null, json!("3"), json!("Noise"), "How loud")];
        let run = vec![
            flag("to", json!("TOOL_TO"), json!("a,b"), Value::Null, "Where to"),
            flag("fast", Value::Null, Value::Null, Value::Null, "Without a value"),
        ];
        let wanted = json!([
            { "name": "tool", "about": null, "flags": root },
            { "name": "run", "about": "Runs", "flags": run },
        ]);
        assert_eq!(reference(&Tool::command()), wanted);
    }
}
