//! The stored inputs of the fuzz targets: `fuzz/corpus/CRATE/TARGET.hex`, an input in hexadecimal digits a line, after a `!` if it
//! has found a fault. `chorus-core` includes this file by its path, since this crate depends on it.

use std::{collections::BTreeSet, fs, panic, path::Path};

/// The limit of one target's inputs, in bytes.
const MAX_INPUTS: usize = 1 << 20;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Hands each stored input to its target.
///
/// # Panics
/// When a target panics, which prints the input; and when a target has no corpus, a corpus no target, or a corpus exceeds
/// its limit.
pub fn replay(of: &str, targets: &[(&str, Target)]) {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus")).join(of);
    let dir = if dir.is_dir() { dir } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(of) };
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let files: BTreeSet<String> =
        files.map(|file| file.expect("listed").file_name().into_string().expect("UTF-8")).collect();
    let expected: BTreeSet<String> = targets.iter().map(|(name, _)| format!("{name}.hex")).collect();
    assert_eq!(files, expected, "each target of {of} has one file of inputs in {}", dir.display());
    for (name, target) in targets {
        let text = fs::read_to_string(dir.join(format!("{name}.hex"))).expect("it was listed");
        let inputs: Vec<Vec<u8>> = text.lines().map(|line| decode(line.trim_start_matches('!'))).collect();
        assert!(!inputs.is_empty(), "{name} has no inputs");
        assert!(inputs.iter().map(Vec::len).sum::<usize>() <= MAX_INPUTS, "{name}: more than {MAX_INPUTS} bytes");
        for (line, input) in inputs.iter().enumerate() {
            let result = panic::catch_unwind(|| target(input));
            assert!(result.is_ok(), "{of}/{name}.hex, line {}: {:?}", line + 1, String::from_utf8_lossy(input));
        }
    }
}

fn decode(line: &str) -> Vec<u8> {
    assert!(line.len().is_multiple_of(2), "digits come in pairs: {line}");
    (0..line.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&line[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}
