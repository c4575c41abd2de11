//! One program for all targets of a crate: the variable `CHORUS_FUZZ_TARGET` names the one that runs.

use std::sync::OnceLock;

type Target = fn(&[u8]);

/// # Panics
/// When no target has the name, or no name is given.
pub fn run(targets: &[(&str, Target)], bytes: &[u8]) {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    let target = CHOSEN.get_or_init(|| {
        let name = std::env::var("CHORUS_FUZZ_TARGET").expect("CHORUS_FUZZ_TARGET names the target");
        let named = targets.iter().find(|(one, _)| **one == *name);
        named.unwrap_or_else(|| panic!("there is no target {name} here")).1
    });
    target(bytes);
}
