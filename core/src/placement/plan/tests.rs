//! Properties of plans, over random tables.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::*;

#[test]
fn no_plan_that_is_even_moves_fewer() {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let mut below = |end: u64| dice.next_u64() % end;
    for _ in 0..20_000 {
        let hosts: Vec<MachineId> = (0..1 + below(5)).map(|n| MachineId(format!("host-{n}").into())).collect();
        let mut owner = |partition| {
            let host = below(hosts.len() as u64 + 2) as usize;
            Partition { partition, host: hosts.get(host).cloned(), epoch: 3, checkpoint: 0 }
        };
        let partitions: Vec<Partition> = (0..12).map(&mut owner).collect();
        let up: Vec<&MachineId> = hosts.iter().collect();
        let moves = plan(&partitions, &up, &BTreeSet::new()).moves;
        assert_eq!(moves.len(), fewest_moves(&partitions, &hosts), "{partitions:?}");
        let after = apply(&partitions, &moves);
        assert_even(&loads(&after, &hosts));
    }
}

/// By trying every choice of the hosts that have one more.
fn fewest_moves(partitions: &[Partition], hosts: &[MachineId]) -> usize {
    let loads = loads(partitions, hosts);
    let unassigned = partitions.len() - loads.iter().sum::<usize>();
    let (share, extra) = (partitions.len() / hosts.len(), partitions.len() % hosts.len());
    let ways = (0u32..1 << hosts.len()).filter(|way| way.count_ones() as usize == extra);
    let surplus = |way: u32| {
        let above = |(place, load): (usize, &usize)| load.saturating_sub(share + (way >> place & 1) as usize);
        loads.iter().enumerate().map(above).sum::<usize>()
    };
    unassigned + ways.map(surplus).min().expect("there is always one way")
}

fn loads(partitions: &[Partition], hosts: &[MachineId]) -> Vec<usize> {
    let of = |host: &MachineId| partitions.iter().filter(|partition| partition.host.as_ref() == Some(host)).count();
    hosts.iter().map(of).collect()
}

fn apply(partitions: &[Partition], moves: &[Assignment]) -> Vec<Partition> {
    let mut after = partitions.to_vec();
    for Assignment { partition, host, epoch } in moves {
        let row = &mut after[*partition as usize];
        (row.host, row.epoch) = (Some(host.clone()), *epoch);
    }
    after
}

fn assert_even(loads: &[usize]) {
    let (least, most) = (loads.iter().min(), loads.iter().max());
    assert!(most.zip(least).is_none_or(|(most, least)| most - least <= 1), "{loads:?}");
}
