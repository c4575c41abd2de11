//! The line on stdin that reports the kill.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use anyhow::{Context as _, bail};
use chorus_core::ids::RoomId;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

/// The death of the server, or of one host of a cluster.
#[derive(Clone, Debug)]
pub struct Kill {
    pub at: Instant,
    victim: Victim,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Victim {
    Server,
    /// A host with these partitions, and the number of all partitions.
    Host(BTreeSet<u32>, u32),
}

impl Kill {
    /// Whether this room has lost its host.
    pub fn concerns(&self, room: RoomId) -> bool {
        match &self.victim {
            Victim::Server => true,
            Victim::Host(partitions, all) => partitions.contains(&room.partition(*all)),
        }
    }
}

/// `killed`, or `killed 0,3,5 of 8`: a host with these partitions.
impl FromStr for Victim {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Victim> {
        let Some(rest) = line.trim().strip_prefix("killed") else { bail!("{line:?} does not report a kill") };
        if rest.is_empty() {
            return Ok(Victim::Server);
        }
        let (partitions, all) =
            rest.split_once(" of ").with_context(|| format!("{line:?}: of how many partitions?"))?;
        let partitions = partitions.split(',').map(|number| number.trim().parse());
        Ok(Victim::Host(partitions.collect::<Result<_, _>>()?, all.parse()?))
    }
}

/// Waits for the line. If no line arrives, the thread that reads it ends with the process.
pub async fn line(within: Duration) -> anyhow::Result<Kill> {
    let (sender, line) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        // There is no receiver after the deadline.
        let _ = sender.send((read.map(|_| line), Instant::now()));
    });
    let (line, at) = timeout(within, line).await.context("the server was not killed in time")??;
    Ok(Kill { at, victim: line?.parse()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_what_was_killed() {
        let parse = |line: &str| line.parse::<Victim>().ok();
        assert_eq!(parse("killed\n"), Some(Victim::Server));
        assert_eq!(parse("killed 0,3 of 8\n"), Some(Victim::Host(BTreeSet::from([0, 3]), 8)));
        for bad in ["", "stopped", "killed 1", "killed x of 8", "killed 1 of y"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_host_s_death_concerns_the_rooms_of_its_partitions() {
        let (room, at) = (RoomId::LOBBY, Instant::now());
        let of = |partitions: &[u32]| Victim::Host(partitions.iter().copied().collect(), 8);
        let own = room.partition(8);
        let concerns = |victim| Kill { at, victim }.concerns(room);
        assert!(concerns(Victim::Server) && concerns(of(&[own])));
        assert!(!concerns(of(&[(own + 1) % 8])));
    }
}
