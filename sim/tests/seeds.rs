//! Whole clusters, by seed. A failure prints the command that runs its seed alone.

mod support;

use std::{collections::BTreeMap, ops::Range};

use chorus_sim::{Happened, Plan, run};
use support::seeds;

const PLAN: Plan = Plan { players: 8, games: 6, faults: 12 };

/// The seeds, unless `CHORUS_SEEDS` gives others.
const SEEDS: Range<u64> = 0..400;

#[test]
fn all_players_finish_and_return_to_the_lobby_after_every_fault() {
    let seeds = seeds(SEEDS);
    let all = seeds.end - seeds.start;
    let (mut games, mut resumes, mut happened) = (0, 0, BTreeMap::<Happened, usize>::new());
    for seed in seeds {
        let report = run(seed, PLAN).unwrap_or_else(|violation| {
            panic!(
                "{violation}\nalone: CHORUS_SEEDS={seed}..{} cargo test --release -p chorus-sim --test seeds",
                seed + 1
            )
        });
        games += report.games;
        resumes += report.resumes;
        report.happened.into_iter().for_each(|(what, times)| *happened.entry(what).or_default() += times);
    }
    assert!(games as u64 >= all * (PLAN.players * PLAN.games) as u64, "{games} games");
    assert!(
        2 * resumes as u64 > 5 * all,
        "{resumes} resumes in {all} runs: too little has failed for this to mean anything"
    );
    for what in Happened::ALL {
        let times = happened.get(&what).copied().unwrap_or_default();
        assert!(
            4 * times as u64 >= all,
            "{what:?} has happened {times} times in {all} runs: too seldom to mean anything"
        );
    }
}

#[test]
fn a_seed_has_one_history() {
    let reports = [7, 7, 8].map(|seed| run(seed, PLAN).expect("it goes well"));
    assert_eq!(reports[0], reports[1]);
    assert_ne!(reports[0].digest, reports[2].digest);
}
