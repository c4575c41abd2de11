//! The simulator must find a bug that is planted in the machines. `chorus/tests/torture/planted.mjs` runs this, once for
//! each: a process has one bug at most.

#![cfg(feature = "planted-bugs")]

use chorus_core::planted::plant;
use chorus_sim::{Plan, run};

const PLAN: Plan = Plan { players: 8, games: 6, faults: 12 };

#[test]
fn what_is_planted_is_found() {
    let bug = std::env::var("CHORUS_PLANT").expect("CHORUS_PLANT names the bug");
    plant(&bug);
    let found = (0..400).find_map(|seed| run(seed, PLAN).err());
    println!("{}", found.unwrap_or_else(|| panic!("{bug} was not found in 400 seeds")));
}
