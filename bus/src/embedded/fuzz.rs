//! What fuzzers do with the files of the log. Built for fuzzers and for tests only: `fuzz/README.md` has the list of all targets. A
//! target takes any bytes, and panics when they break a promise of the decoder.

use std::path::Path;

use chorus_core::pairing::DataId;
use crc32fast::Hasher;

use super::{
    head::Head,
    segment::{self, FRAME, HEADER, Parsed},
};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[("head", head), ("segment", segment_file)];

const ID: DataId = DataId(7);

/// The file of a partition's head: what is read is written as the same bytes.
fn head(bytes: &[u8]) {
    let Ok(bytes) = bytes.try_into() else { return };
    let path = Path::new("3.head");
    let _ = Head::check(path, 3, bytes);
    let mut sealed = *bytes;
    let end = sealed.len() - 4;
    let crc = crc32fast::hash(&sealed[..end]);
    sealed[end..].copy_from_slice(&crc.to_le_bytes());
    if let Ok(head) = Head::check(path, 3, &sealed) {
        assert_eq!(Head::check(path, 3, &head.encode()).ok(), Some(head));
    }
}

/// A segment file: a byte of choices, the first offset, then frames. Bit 0: the frames get lengths and checksums that are valid, bit
/// 1: and offsets, bit 2: the last byte is missing.
fn segment_file(bytes: &[u8]) {
    let Some((&choices, bytes)) = bytes.split_first() else { return };
    let Some((base, frames)) = bytes.split_first_chunk() else { return };
    let base = u64::from_le_bytes(*base);
    let mut file = segment::header(3, ID, base, base).to_vec();
    file.extend_from_slice(frames);
    if choices & 1 != 0 {
        seal(&mut file[HEADER..], (choices & 2 != 0).then_some(base));
    }
    if choices & 4 != 0 {
        file.pop();
    }
    let path = segment::file_name(base);
    let Ok(checked) = segment::check_header(Path::new(&path), 3, ID, &file) else {
        assert!(file.len() < HEADER || base > segment::MAX_BASE, "the header is valid");
        return;
    };
    assert_eq!(checked, (base, base));
    let mut records = 0;
    let scan = segment::scan(base, &file, |_, _| records += 1);
    assert_eq!(scan.end, base + records);
    assert!(scan.stop <= file.len() && scan.bad.is_some() == (scan.stop < file.len()));
    segment::is_covered(&file, scan.stop, scan.end);
    for at in [0, 1, HEADER, scan.stop].into_iter().filter(|at| *at <= file.len()) {
        match segment::parse(&file, at) {
            Parsed::Record { payload, next, .. } => assert!(!payload.is_empty() && next <= file.len()),
            Parsed::SyncMarker { next, .. } => assert!(next <= file.len()),
            Parsed::Short { .. } | Parsed::Bad(_) => {}
        }
    }
}

fn seal(frames: &mut [u8], base: Option<u64>) {
    let mut rest = frames;
    let mut next = base;
    while let Some((frame, body)) = rest.split_at_mut_checked(FRAME) {
        let asked = u32::from_le_bytes(frame[..4].try_into().expect("4 bytes")) & 0x3ff;
        let (payload, after) = body.split_at_mut(body.len().min(asked as usize));
        frame[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        if let Some(offset) = next {
            frame[8..].copy_from_slice(&offset.to_le_bytes());
            next = offset.checked_add(u64::from(!payload.is_empty()));
        }
        let mut hasher = Hasher::new();
        hasher.update(payload);
        hasher.update(&frame[8..]);
        hasher.update(&frame[..4]);
        frame[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_stored_input_is_decoded_or_refused() {
        chorus_testing::corpus::replay("bus", super::TARGETS);
    }
}
