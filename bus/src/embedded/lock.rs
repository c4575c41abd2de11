//! One process per data directory.

use std::{
    fs::{File, OpenOptions, TryLockError, create_dir_all},
    io::{Read, Write},
    path::Path,
};

use crate::OpenError;

/// Takes the directory (making it if need be) for as long as the returned file is open. The lock is the kernel's, so
/// it is gone with the process however that ends; the pid in the file is only for the other one's error.
pub(super) fn take(dir: &Path) -> Result<File, OpenError> {
    let io = |action| move |source| OpenError::Io { action, file: dir.to_owned(), source };
    create_dir_all(dir).map_err(io("create"))?;
    let path = dir.join("lock");
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(io("lock"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { dir: dir.to_owned(), pid: holder(&mut file) }),
        Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
    }
    let write = file.set_len(0).and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
    write.map_err(io("lock"))?;
    Ok(file)
}

fn holder(file: &mut File) -> Option<String> {
    let mut pid = String::new();
    file.read_to_string(&mut pid).ok()?;
    Some(pid.trim().to_owned()).filter(|pid| !pid.is_empty())
}
