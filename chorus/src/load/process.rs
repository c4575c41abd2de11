//! Linux's figures of the server's process.

use std::time::Duration;

use anyhow::{Context as _, anyhow};

/// `/proc` counts CPU time in hundredths of a second, independently of the kernel's own tick.
const TICKS: f64 = 100.0;

/// User and system time of all its threads since its start.
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    ticks(&text).map(|ticks| Duration::from_secs_f64(ticks as f64 / TICKS)).ok_or_else(|| anyhow!("{path}: {text:?}"))
}

/// The name is in parentheses and may contain anything; `utime` and `stime` are fields 14 and 15.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    Some(user + system)
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Its pages, with each shared page counted once in all processes: the memory that its end would free.
    pub pss: f64,
    /// The kernel's tables of those pages, which are in no page count.
    pub tables: f64,
}

pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let read = |file: &str, field: &str| -> anyhow::Result<f64> {
        let path = format!("/proc/{pid}/{file}");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
        kilobytes(&text, field).ok_or_else(|| anyhow!("{path} has no {field}"))
    };
    Ok(Memory { pss: read("smaps_rollup", "Pss:")?, tables: read("status", "VmPTE:")? })
}

fn kilobytes(text: &str, field: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let number: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 2 3 4 250 50 0 0 20 0 3 0 9 10 11";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(kilobytes("Rss:  9 kB\nPss:    12 kB\nPss_Dirty:  1 kB\n", "Pss:"), Some(12.0 * 1024.0));
    }
}
