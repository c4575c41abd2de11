//! TLS for players: the flags of every command that serves them, and the certificate that `chorus dev` signs itself.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use chorus_edge::TlsFiles;
use clap::Args;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

#[derive(Debug, Args)]
pub struct Tls {
    /// Players connect by TLS (https and wss), with the certificate in this file: PEM, the server's own certificate first. It is
    /// read again when it changes
    #[arg(
        long = "tls-certificate",
        env = "CHORUS_TLS_CERTIFICATE",
        value_name = "FILE",
        help_heading = "TLS",
        requires = "key"
    )]
    certificate: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(
        long = "tls-key",
        env = "CHORUS_TLS_KEY",
        value_name = "FILE",
        help_heading = "TLS",
        requires = "certificate"
    )]
    key: Option<PathBuf>,
}

impl Tls {
    pub fn files(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.certificate.clone()?, self.key.clone()?);
        Some(TlsFiles { certificate, key })
    }
}

/// The folder in the data directory.
const DIR: &str = "tls";

/// How long a certificate is valid that signs itself. Apple's systems refuse those that are valid for longer than 825 days.
const VALID: Duration = Duration::from_secs(800 * 24 * 60 * 60);

/// A certificate is made anew after this time.
const RENEW: Duration = Duration::from_secs(600 * 24 * 60 * 60);

/// The certificate of this data directory, which signs itself: kept, since every browser that has accepted it would warn again
/// of another one. It names loopback and, unless it is a wildcard, the address that is listened on.
pub fn self_signed(data: &Path, listen: IpAddr) -> anyhow::Result<TlsFiles> {
    let dir = chorus_private::dir(&data.join(DIR), chorus_private::Root::Inside)?;
    let other = (!listen.is_unspecified() && !listen.is_loopback()).then(|| listen.to_string());
    let names: Vec<String> = LOOPBACK.into_iter().map(str::to_owned).chain(other.clone()).collect();
    // Each address has files of its own, so a change of the address does not cost the certificate of the previous one.
    let stem = other.map_or("localhost".to_owned(), |address| address.replace(':', "-"));
    let files =
        TlsFiles { certificate: dir.join(format!("{stem}.certificate.pem")), key: dir.join(format!("{stem}.key.pem")) };
    if is_recent(&files) {
        return Ok(files);
    }
    sign(&names, &files).context("a certificate that signs itself cannot be made")?;
    Ok(files)
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn is_recent(files: &TlsFiles) -> bool {
    let age = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok()?.elapsed().ok();
    [&files.certificate, &files.key].into_iter().all(|path| age(path).is_some_and(|age| age < RENEW))
}

fn sign(names: &[String], files: &TlsFiles) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let mut certificate = CertificateParams::new(names)?;
    certificate.distinguished_name = DistinguishedName::new();
    certificate.distinguished_name.push(DnType::CommonName, "chorus dev, self-signed");
    let now = SystemTime::now();
    (certificate.not_before, certificate.not_after) = (now.into(), (now + VALID).into());
    let certificate = certificate.self_signed(&key)?;
    write(&files.key, &key.serialize_pem())?;
    write(&files.certificate, &certificate.pem())
}

fn write(path: &Path, pem: &str) -> anyhow::Result<()> {
    let mut file = chorus_private::open(OpenOptions::new().write(true).create(true).truncate(true), path)?;
    file.write_all(pem.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_signs_itself_is_kept() {
        let data = tempfile::tempdir().expect("a directory");
        let lan = "192.0.2.7".parse().expect("an address");
        let files = self_signed(data.path(), lan).expect("made");
        let pem = |files: &TlsFiles| fs::read_to_string(&files.certificate).expect("readable");
        let first = pem(&files);
        assert!(first.starts_with("-----BEGIN CERTIFICATE-----"), "{first}");
        assert_eq!(self_signed(data.path(), lan).expect("kept"), files);
        assert_eq!(pem(&files), first);
        let other = self_signed(data.path(), std::net::Ipv4Addr::UNSPECIFIED.into()).expect("made");
        assert_ne!(pem(&other), first);
        fs::remove_file(&files.key).expect("removed");
        assert_ne!(pem(&self_signed(data.path(), lan).expect("made again")), first, "its key was lost");
    }
}
