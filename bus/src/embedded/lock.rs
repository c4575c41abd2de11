//! One process per data directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
};

use crate::OpenError;

/// The lock of a data directory. The kernel holds it, so it is released when the process ends in any way.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Unlocks explicitly rather than by closing the file: a child process between fork and exec still has every file of this
    /// one open, and would keep the lock until its exec.
    fn drop(&mut self) {
        // On an error, the kernel releases the lock later.
        let _ = self.0.unlock();
    }
}

/// Locks an existing directory. The pid in the file only serves the error of another process.
pub(super) fn take(dir: &Path) -> Result<Lock, OpenError> {
    let io = |action| move |source| OpenError::Io { action, file: dir.to_owned(), source };
    let path = dir.join("lock");
    let mut file = chorus_private::open(OpenOptions::new().read(true).write(true).create(true).truncate(false), &path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { dir: dir.to_owned(), pid: holder(&mut file) }),
        Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
    }
    let write = file.set_len(0).and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
    write.map_err(io("lock"))?;
    Ok(Lock(file))
}

fn holder(file: &mut File) -> Option<String> {
    let mut pid = String::new();
    file.read_to_string(&mut pid).ok()?;
    Some(pid.trim().to_owned()).filter(|pid| !pid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_free_although_a_process_that_starts_still_has_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = take(dir.path()).unwrap();
        let inherited = lock.0.try_clone().unwrap();
        assert!(matches!(take(dir.path()), Err(OpenError::Locked { .. })));
        drop(lock);
        take(dir.path()).unwrap();
        drop(inherited);
    }
}
