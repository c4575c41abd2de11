//! Secrets that an operator hands to a process.
//!
//! Every user of a machine can read the command lines of its processes. So a secret comes from a file or from the environment; one
//! that is among the arguments is refused. A flag that may have a secret in its value takes any text, since the parser of flags
//! prints a value that it refuses.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use chorus_core::secret::Secret;

/// Has the operators' token, in place of a file.
const TOKEN: &str = "CHORUS_TOKEN";

/// The operators' token, from this file or from the environment.
pub fn operators_token(file: Option<&PathBuf>) -> anyhow::Result<Option<Secret>> {
    match file {
        Some(file) => read(file).map(Some),
        None => Ok(std::env::var(TOKEN).ok().filter(|text| !text.is_empty()).map(Secret::from)),
    }
}

/// The same where there must be one.
pub fn required_token(file: Option<&PathBuf>) -> anyhow::Result<Secret> {
    operators_token(file)?
        .with_context(|| format!("the operators' token is missing: set {TOKEN}, or name a file by --token-file"))
}

fn read(file: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.trim().into())
}

/// Refuses a secret that is among the arguments of this process. `variable` has it in place of `flag`.
pub fn refuse_argument(secret: &Secret, flag: &str, variable: &str) -> anyhow::Result<()> {
    let secret = secret.expose().as_bytes();
    let is_shown = |argument: &[u8]| argument.windows(secret.len().max(1)).any(|part| part == secret);
    let is_argument = std::env::args_os().any(|argument| is_shown(argument.as_encoded_bytes()));
    ensure!(
        !is_argument,
        "{flag} has a secret in it, which every user of this machine can read in the list of processes: set {variable} instead"
    );
    Ok(())
}

/// Whether an address has a password in it: `user:password@`, or as a parameter.
pub fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || rest.contains("password=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_found() {
        for with in [
            "postgres://chorus:hunter2@db/chorus",
            "postgres://chorus:h@nter/2@db",
            "postgres://db/chorus?sslmode=require&password=hunter2",
        ] {
            assert!(has_password(with), "{with}");
        }
        for without in ["postgres://chorus@db:5432/chorus", "postgres://127.0.0.1/chorus", "postgres://[::1]:5432/a"] {
            assert!(!has_password(without), "{without}");
        }
    }

    #[test]
    fn an_argument_is_no_place_for_a_secret() {
        let program = std::env::args().next().expect("the first argument");
        let error = refuse_argument(&Secret::from(program.as_str()), "--flag", "VARIABLE").expect_err("it is there");
        assert!(error.to_string().contains("VARIABLE") && !error.to_string().contains(&program), "{error}");
        assert!(refuse_argument(&"a text that is no argument".into(), "--flag", "VARIABLE").is_ok());
    }
}
