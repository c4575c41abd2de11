//! Names that nobody may have.
//!
//! [`NameFilter`] is the embedder's own rule, and [`BlockedNamesFile`] is one by a list of words in a file, which is read again
//! when it changes. How a name matches a word is [`chorus_core::identity::BlockedNames`]'s; what it cannot do is done here: a name
//! is decomposed first (NFKD), so that accents and full-width forms make no other letter.
//!
//! The rule is asked once for each new session and each guest that signs in, so a name that was allowed stays with its session.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use chorus_core::identity::{BadNameList, BlockedNames};
use icu_normalizer::DecomposingNormalizerBorrowed;

/// Whether a name, which is valid otherwise, is one that nobody may have. It is called for each new session, and must not wait.
#[derive(Clone)]
pub struct NameFilter(pub Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl fmt::Debug for NameFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameFilter(…)")
    }
}

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NamesError {
    #[error("the blocked names cannot be read from {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the blocked names in {} have more than {} bytes", path.display(), MAX_FILE)]
    TooLarge { path: PathBuf },
    #[error("the blocked names in {} cannot be used: {source}", path.display())]
    List { path: PathBuf, source: BadNameList },
}

/// The largest file.
const MAX_FILE: u64 = 1 << 20;

/// The interval at which the file is read.
const RELOAD: Duration = Duration::from_secs(2);

/// A list of blocked names in a file: one word a line, and comments after `#` at the beginning of a line.
#[derive(Debug)]
pub struct BlockedNamesFile {
    path: PathBuf,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    names: BlockedNames,
    /// What was last read, usable or not: a warning is logged once.
    read: String,
}

impl BlockedNamesFile {
    pub fn open(path: &Path) -> Result<Arc<BlockedNamesFile>, NamesError> {
        let read = contents(path)?;
        let names = parse(path, &read)?;
        Ok(Arc::new(BlockedNamesFile { path: path.to_owned(), current: RwLock::new(Current { names, read }) }))
    }

    /// The rule of this list. A task reads the file again while the rule is in use; a list that cannot be used changes nothing, and
    /// is logged. Needs a runtime.
    pub fn filter(self: Arc<Self>) -> NameFilter {
        tokio::spawn(follow(Arc::downgrade(&self)));
        NameFilter(Arc::new(move |name| self.blocks(name)))
    }

    fn blocks(&self, name: &str) -> bool {
        self.current.read().unwrap_or_else(PoisonError::into_inner).names.has(&decomposed(name))
    }

    /// Whether the file has changed. The error is returned once for each change.
    fn reload(&self) -> Result<bool, NamesError> {
        let read = contents(&self.path)?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).read == read {
            return Ok(false);
        }
        let names = parse(&self.path, &read);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.read = read;
        current.names = names?;
        Ok(true)
    }
}

async fn follow(file: Weak<BlockedNamesFile>) {
    // A file that is gone is reported once.
    let mut readable = true;
    loop {
        tokio::time::sleep(RELOAD).await;
        let Some(file) = file.upgrade() else { return };
        let reloaded = tokio::task::spawn_blocking(move || file.reload()).await;
        let gone = matches!(reloaded, Ok(Err(NamesError::Read { .. })));
        match reloaded {
            Ok(Ok(true)) => tracing::info!("the list of blocked names was read again"),
            Ok(Err(error)) if readable || !gone => {
                tracing::warn!(%error, "the list of blocked names stays as it was");
            }
            _ => {}
        }
        readable = !gone;
    }
}

fn contents(path: &Path) -> Result<String, NamesError> {
    let at = |source| NamesError::Read { path: path.to_owned(), source };
    match fs::metadata(path).map_err(at)?.len() {
        0..=MAX_FILE => fs::read_to_string(path).map_err(at),
        _ => Err(NamesError::TooLarge { path: path.to_owned() }),
    }
}

fn parse(path: &Path, text: &str) -> Result<BlockedNames, NamesError> {
    BlockedNames::parse(&decomposed(text)).map_err(|source| NamesError::List { path: path.to_owned(), source })
}

/// Each character as its base and its marks, and without its width or style.
fn decomposed(text: &str) -> String {
    DecomposingNormalizerBorrowed::new_nfkd().normalize(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_with_accents_and_in_other_widths() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("names");
        fs::write(&path, "# ours\nadmin\ncafé\n").expect("written");
        let file = BlockedNamesFile::open(&path).expect("a list");
        for name in ["ＡＤＭＩＮ", "Ádmín", "𝓪𝓭𝓶𝓲𝓷", "le cafe", "CAFÉ"] {
            assert!(file.blocks(name), "{name}");
        }
        assert!(!file.blocks("Ana"));
    }

    #[test]
    fn a_list_that_cannot_be_used_is_reported_once_and_changes_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("names");
        assert!(matches!(BlockedNamesFile::open(&path), Err(NamesError::Read { .. })));
        fs::write(&path, "admin").expect("written");
        let file = BlockedNamesFile::open(&path).expect("a list");
        assert!(!file.reload().expect("as it was"));
        fs::write(&path, "boss\n- -\n").expect("written");
        assert!(matches!(file.reload(), Err(NamesError::List { source: BadNameList::Empty { line: 2 }, .. })));
        assert!(!file.reload().expect("reported already"));
        assert!(file.blocks("admin") && !file.blocks("boss"));
        fs::write(&path, "boss").expect("written");
        assert!(file.reload().expect("usable"));
        assert!(file.blocks("boss") && !file.blocks("admin"));
    }
}
