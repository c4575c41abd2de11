//! Whole clusters, by seed. What fails prints its seed, and fails again with it.

use chorus_sim::{Plan, run};

const PLAN: Plan = Plan { players: 8, games: 6, faults: 12 };

/// How many seeds, if `CHORUS_SEEDS` does not say.
const SEEDS: usize = 400;

#[test]
fn whatever_fails_everybody_plays_and_is_back_in_the_lobby() {
    let seeds = std::env::var("CHORUS_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("CHORUS_SEEDS is a number"));
    let (mut games, mut resumes) = (0, 0);
    for seed in 0..seeds as u64 {
        let report = run(seed, PLAN).unwrap_or_else(|violation| panic!("{violation}"));
        games += report.games;
        resumes += report.resumes;
    }
    assert!(games >= seeds * PLAN.players * PLAN.games, "{games} games");
    assert!(resumes > 1_000, "{resumes} resumes: too little has failed for this to say anything");
}

#[test]
fn a_seed_has_one_history() {
    let reports = [7, 7, 8].map(|seed| run(seed, PLAN).expect("it goes well"));
    assert_eq!(reports[0], reports[1]);
    assert_ne!(reports[0].digest, reports[2].digest);
}
