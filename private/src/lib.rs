//! Files and directories for their owner alone: a data directory holds resume tokens, secrets and players' texts, and a cache
//! holds native code.
//!
//! * A directory is 0700 and a file 0600. One with a wider mode is tightened, with a log line that names it.
//! * A directory or file of another user is refused: that user could replace its content.
//! * A symbolic link is refused, for a file as for a directory. The one exception is a directory that an operator has named
//!   ([`Root::Named`]), which may be reached through a link: the link is resolved once, and the owner of its target counts.
//!
//! The directory is checked first. Once it is private, no other user can put a link into it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

const DIR: u32 = 0o700;
const FILE: u32 = 0o600;

/// Why a file or directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    #[error(
        "{} belongs to another user (uid {owner}, and this process has uid {uid}), who could change it: change its \
         owner, or use another directory",
        path.display()
    )]
    Owner { path: PathBuf, owner: u32, uid: u32 },
    #[error("{} is a symbolic link, which is not followed: put the file or directory itself there", path.display())]
    Link { path: PathBuf },
    #[error("{} is not a {expected}", path.display())]
    Kind { path: PathBuf, expected: &'static str },
    #[error("{} can be written to by other users (mode {mode:03o}): `chmod go-w` it, or use another directory", path.display())]
    Writable { path: PathBuf, mode: u32 },
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrivateError {
    move |source| PrivateError::Io { action, path: path.to_owned(), source }
}

/// The origin of a directory's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// An operator, who may have named a link.
    Named,
    /// This program, inside a directory that is private already.
    Inside,
}

/// Creates a directory and its missing parents, or tightens the existing one. Returns its real path.
pub fn dir(path: &Path, root: Root) -> Result<PathBuf, PrivateError> {
    let path = create(path, root)?;
    let found = owned(&path)?;
    if found.mode() & 0o777 & !DIR != 0 {
        tighten(&path, found.mode(), |mode| fs::set_permissions(&path, mode), DIR);
    }
    Ok(path)
}

/// Creates a directory, or refuses the existing one if other users can write to it. For native code: a file there may have been
/// written before the directory could be tightened.
pub fn dir_of_code(path: &Path) -> Result<PathBuf, PrivateError> {
    let path = create(path, Root::Named)?;
    let found = owned(&path)?;
    match found.mode() & 0o022 {
        0 => Ok(path),
        _ => Err(PrivateError::Writable { path, mode: found.mode() & 0o777 }),
    }
}

fn create(path: &Path, root: Root) -> Result<PathBuf, PrivateError> {
    if root == Root::Inside && is_link(path) {
        return Err(PrivateError::Link { path: path.to_owned() });
    }
    DirBuilder::new().recursive(true).mode(DIR).create(path).map_err(at("create", path))?;
    match root {
        Root::Named => fs::canonicalize(path).map_err(at("resolve", path)),
        Root::Inside => Ok(path.to_owned()),
    }
}

fn owned(path: &Path) -> Result<fs::Metadata, PrivateError> {
    let found = fs::symlink_metadata(path).map_err(at("inspect", path))?;
    if !found.is_dir() {
        return Err(PrivateError::Kind { path: path.to_owned(), expected: "directory" });
    }
    check_owner(path, found.uid())?;
    Ok(found)
}

fn check_owner(path: &Path, owner: u32) -> Result<(), PrivateError> {
    let uid = rustix::process::geteuid().as_raw();
    if owner == uid { Ok(()) } else { Err(PrivateError::Owner { path: path.to_owned(), owner, uid }) }
}

/// A file system without modes (a mounted share) keeps its modes; that is logged, and is no error.
fn tighten(path: &Path, found: u32, set: impl FnOnce(Permissions) -> io::Result<()>, wanted: u32) {
    let found = format!("{:03o}", found & 0o777);
    match set(Permissions::from_mode(wanted)) {
        Ok(()) => {
            tracing::info!(path = %path.display(), found, "other users could read this; its mode is now {wanted:o}")
        }
        Err(error) => tracing::warn!(path = %path.display(), found, %error, "other users can read this"),
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// Opens a file with `options`, for its owner alone. A file that `options` create has mode 0600.
pub fn open(options: &mut OpenOptions, path: &Path) -> Result<File, PrivateError> {
    let (file, found) = owned_file(options, path)?;
    if found.mode() & 0o777 & !FILE != 0 {
        tighten(path, found.mode(), |mode| file.set_permissions(mode), FILE);
    }
    Ok(file)
}

/// Opens a file of native code to read it, or refuses it when other users can write to it.
pub fn open_code(path: &Path) -> Result<File, PrivateError> {
    let (file, found) = owned_file(OpenOptions::new().read(true), path)?;
    match found.mode() & 0o022 {
        0 => Ok(file),
        _ => Err(PrivateError::Writable { path: path.to_owned(), mode: found.mode() & 0o777 }),
    }
}

fn owned_file(options: &mut OpenOptions, path: &Path) -> Result<(File, fs::Metadata), PrivateError> {
    let opened = options.mode(FILE).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path);
    let file = opened.map_err(|error| match is_link(path) {
        true => PrivateError::Link { path: path.to_owned() },
        false => at("open", path)(error),
    })?;
    let found = file.metadata().map_err(at("inspect", path))?;
    if !found.is_file() {
        return Err(PrivateError::Kind { path: path.to_owned(), expected: "file" });
    }
    check_owner(path, found.uid())?;
    Ok((file, found))
}

/// The same for a file that a library opens by its name: checks and tightens it now, and returns whether it exists. No other
/// user can replace it afterwards, since its directory is private.
pub fn check(path: &Path) -> Result<bool, PrivateError> {
    match open(OpenOptions::new().read(true), path) {
        Ok(_) => Ok(true),
        Err(PrivateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let data = dir(&temporary.path().join("a/b"), Root::Named).unwrap();
        assert_eq!((mode(&data), mode(data.parent().unwrap())), (0o700, 0o700));
        open(OpenOptions::new().write(true).create(true), &data.join("file")).unwrap();
        assert_eq!(mode(&data.join("file")), 0o600);
    }

    #[test]
    fn what_is_there_with_a_wider_mode_is_tightened() {
        let temporary = tempfile::tempdir().unwrap();
        let (data, file) = (temporary.path().join("data"), temporary.path().join("data/file"));
        fs::create_dir(&data).unwrap();
        fs::write(&file, "kept").unwrap();
        set_mode(&data, 0o755);
        set_mode(&file, 0o644);
        dir(&data, Root::Named).unwrap();
        assert!(check(&file).unwrap());
        assert_eq!((mode(&data), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        assert!(!check(&data.join("nothing")).unwrap());
    }

    #[test]
    fn a_link_is_followed_only_where_an_operator_has_named_it() {
        let temporary = tempfile::tempdir().unwrap();
        let (target, link) = (temporary.path().join("target"), temporary.path().join("link"));
        fs::create_dir(&target).unwrap();
        symlink(&target, &link).unwrap();
        assert_eq!(dir(&link, Root::Named).unwrap(), fs::canonicalize(&target).unwrap());
        assert!(matches!(dir(&link, Root::Inside), Err(PrivateError::Link { path }) if path == link));

        let file = target.join("file");
        symlink("/etc/hostname", &file).unwrap();
        for mut options in [OpenOptions::new().read(true).clone(), OpenOptions::new().write(true).create(true).clone()]
        {
            let error = open(&mut options, &file).unwrap_err();
            assert!(matches!(&error, PrivateError::Link { path } if *path == file), "{error}");
        }
        // A link without a target is no way to create a file elsewhere.
        let elsewhere = temporary.path().join("elsewhere");
        let dangling = target.join("dangling");
        symlink(&elsewhere, &dangling).unwrap();
        open(OpenOptions::new().write(true).create(true), &dangling).unwrap_err();
        assert!(!elsewhere.exists());
    }

    #[test]
    fn a_directory_of_code_that_others_may_write_to_is_refused_and_left_as_it_is() {
        let temporary = tempfile::tempdir().unwrap();
        let cache = dir_of_code(&temporary.path().join("cache")).unwrap();
        for wide in [0o720, 0o702, 0o777] {
            set_mode(&cache, wide);
            let error = dir_of_code(&cache).unwrap_err();
            assert!(matches!(error, PrivateError::Writable { mode, .. } if mode == wide), "{error}");
            assert_eq!(mode(&cache), wide);
        }
        set_mode(&cache, 0o755);
        dir_of_code(&cache).unwrap();
        // And so is a file.
        let file = cache.join("code");
        fs::write(&file, "code").unwrap();
        for (wide, refused) in [(0o644, false), (0o620, true), (0o602, true)] {
            set_mode(&file, wide);
            assert_eq!(open_code(&file).is_err(), refused, "{wide:o}");
            assert_eq!(mode(&file), wide);
        }
    }

    #[test]
    fn what_another_user_owns_is_refused() {
        // Another user's directory is only known where the superuser is another user; otherwise the owner is made up.
        let path = Path::new("/");
        let uid = rustix::process::geteuid().as_raw();
        match uid {
            0 => assert!(matches!(check_owner(path, 12_345), Err(PrivateError::Owner { owner: 12_345, uid: 0, .. }))),
            _ => assert!(matches!(dir(path, Root::Named), Err(PrivateError::Owner { owner: 0, .. }))),
        }
    }
}
