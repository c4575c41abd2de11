//! Monitors, by seed. A failure prints the command that runs its seed alone.

mod support;

use chorus_sim::placement::{Report, run};
use support::seeds;

/// From so many histories on, each kind of event must have occurred: without events, promises that hold mean nothing.
const MIN_RUNS: usize = 100;

#[test]
fn the_promises_of_placement_hold_in_every_history() {
    let mut total = Report::default();
    let mut runs = 0;
    for seed in seeds(0..400) {
        let report = run(seed).unwrap_or_else(|violation| {
            panic!(
                "{violation}\nalone: CHORUS_SEEDS={seed}..{} cargo test --release -p chorus-sim --test placement",
                seed + 1
            )
        });
        runs += 1;
        add(&mut total, &report);
    }
    if runs < MIN_RUNS {
        return;
    }
    let Report { deaths, moves, reaped, cleaned, refused, grace_periods, activations } = total;
    assert!(deaths > 2 * runs && moves > 20 * runs && grace_periods > 5 * runs && activations > 2 * runs, "{total:?}");
    assert!(2 * reaped > runs && 4 * cleaned > runs && refused > 0, "{total:?}");
}

#[test]
fn a_seed_has_one_history() {
    let reports = [7, 7, 8].map(|seed| run(seed).expect("no violation"));
    assert_eq!(reports[0], reports[1]);
    assert_ne!(reports[0], reports[2]);
}

fn add(total: &mut Report, report: &Report) {
    total.deaths += report.deaths;
    total.moves += report.moves;
    total.reaped += report.reaped;
    total.cleaned += report.cleaned;
    total.refused += report.refused;
    total.grace_periods += report.grace_periods;
    total.activations += report.activations;
}
