//! What a guest prints: it becomes lines of the room's log, up to a bound.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chorus_core::effect::{Effect, LogLevel};
use wasmtime_wasi::{
    async_trait,
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

use super::{budget, host_meter::HostMeter};

/// The text that a guest has printed in one call.
#[derive(Default)]
pub(crate) struct Printed {
    lines: Vec<Line>,
    kept: u64,
    cut: u64,
}

struct Line {
    level: LogLevel,
    text: Vec<u8>,
    open: bool,
}

impl Printed {
    /// One log effect for each line that is not empty, and a note if the bound has cut something.
    pub(crate) fn take(&mut self) -> Vec<Effect> {
        if self.lines.is_empty() {
            return Vec::new();
        }
        let Printed { lines, cut, .. } = std::mem::take(self);
        let mut log: Vec<Effect> = lines
            .into_iter()
            .filter(|line| !line.text.is_empty())
            .map(|line| Effect::Log { level: line.level, text: String::from_utf8_lossy(&line.text).into() })
            .collect();
        if cut > 0 {
            log.push(Effect::Log {
                level: LogLevel::Warn,
                text: format!("({cut} more bytes of output were cut)").into(),
            });
        }
        log
    }

    fn print(&mut self, level: LogLevel, bytes: &[u8]) {
        let room = budget::MAX_LOG.saturating_sub(self.kept).min(bytes.len() as u64);
        let (kept, cut) = bytes.split_at(room as usize);
        self.kept += kept.len() as u64;
        self.cut += cut.len() as u64;
        for piece in kept.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let open = text.len() == piece.len();
            match self.lines.last_mut() {
                Some(last) if last.open && last.level == level => {
                    last.text.extend_from_slice(text);
                    last.open = open;
                }
                _ => self.lines.push(Line { level, text: text.to_vec(), open }),
            }
        }
    }
}

/// Standard output or error.
pub(crate) struct Printer {
    pub level: LogLevel,
    pub printed: Arc<Mutex<Printed>>,
    pub meter: Arc<HostMeter>,
}

#[async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.meter.moves(bytes.len() as u64).map_err(StreamError::Trap)?;
        self.printed.lock().expect("no panic while printing").print(self.level, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(4096)
    }
}
