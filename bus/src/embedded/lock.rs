//! One process per data directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
};

use crate::OpenError;

/// A directory that is taken. The lock is the kernel's, so it is gone with the process however that ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Not left to closing the file: a process that is just being started still has every file of this one open, and the
    /// lock would be kept until it has become another program.
    fn drop(&mut self) {
        // An error leaves the lock to the kernel.
        let _ = self.0.unlock();
    }
}

/// Takes the directory, which is there. The pid in the file is only for the other one's error.
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
