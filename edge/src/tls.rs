//! TLS for players: a certificate and its key from files, which are read again when they change.
//!
//! * TLS 1.3 and 1.2, by rustls with ring. Sessions are resumed by tickets, so a client that reconnects costs no signature, and
//!   the edge keeps nothing for clients that are gone.
//! * The files are read every [`crate::Options::certificate_reload`]. New connections have the new certificate; those that are open keep theirs. Files that
//!   cannot be used are a warning, and the edge continues with the certificate that it has.
//! * A client of this machine may connect without TLS: the network is what is encrypted, and operators' commands and health
//!   checks are local. From elsewhere, an HTTP request without TLS is refused with a text.
//! * The handshake has the time limit of an HTTP request's head ([`crate::Options::header_timeout`]).

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
        server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
        sign::CertifiedKey,
    },
    server::TlsStream,
};
use tokio_util::either::Either;

/// Larger files are no certificates.
const MAX_FILE: u64 = 1 << 20;

/// The answer to an HTTP request without TLS.
const USE_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 35\r\n\
                         Connection: close\r\n\r\nthis port is for https:// and wss:\n";

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that have signed it, in PEM, the server's own first.
    pub certificate: PathBuf,
    /// The private key, in PEM.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is larger than 1 MiB: is it a certificate or a key in PEM?", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} has no certificate in PEM (`-----BEGIN CERTIFICATE-----`)", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{} has no private key in PEM (`-----BEGIN PRIVATE KEY-----`), or an encrypted one", path.display())]
    NoKey { path: PathBuf },
    #[error("{} is not PEM: {what}", path.display())]
    Pem { path: PathBuf, what: &'static str },
    #[error("the certificate in {} cannot be used with the key in {}: {source}", files.certificate.display(), files.key.display())]
    Pair { files: TlsFiles, source: rustls::Error },
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// Connects by TLS to servers whose certificate these roots have signed, as every client of chorus does.
pub fn connector(roots: RootCertStore) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has what both versions of TLS need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// A client's byte stream: bare TCP, or TLS over it, which is boxed so that a bare connection has no space for keys.
pub(crate) type ClientStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The TLS side of accepting a connection.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// How a new connection continues.
pub(crate) enum Begun {
    Open(ClientStream),
    /// It was refused, and has received the reason.
    Refused,
}

impl Tls {
    pub fn open(files: TlsFiles) -> Result<Tls, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let certificate = Arc::new(Certificate::read(files, provider.clone())?);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ring::Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), certificate })
    }

    /// Takes over a connection from `source`, which has sent nothing yet, or the header of a proxy.
    pub async fn begin(&self, mut stream: TcpStream, source: IpAddr) -> io::Result<Begun> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        // The type of a TLS record is not a letter; an HTTP request begins with its method.
        if !first[0].is_ascii_uppercase() {
            let encrypted = self.acceptor.accept(stream).await?;
            return Ok(Begun::Open(ClientStream::Right(Box::new(encrypted))));
        }
        if source.to_canonical().is_loopback() {
            return Ok(Begun::Open(ClientStream::Left(stream)));
        }
        // What is left unread would make the system discard the answer.
        let _ = stream.try_read(&mut [0; 4096]);
        stream.write_all(USE_TLS).await?;
        stream.shutdown().await?;
        Ok(Begun::Refused)
    }

    /// Reads the files again and again, until the task is aborted.
    pub async fn follow_files(self: Arc<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let certificate = self.certificate.clone();
            // The files may be on a network.
            let reloaded = tokio::task::spawn_blocking(move || certificate.reload()).await;
            match reloaded {
                Ok(Ok(true)) => tracing::info!("new connections have the new certificate"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the new certificate is not used; the previous one is"),
                Err(error) => tracing::warn!(%error, "the certificate was not read again"),
            }
        }
    }
}

/// The certificate in use.
#[derive(Debug)]
struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    /// What was last read, usable or not: a warning is logged once.
    read: Contents,
}

/// The files' contents.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Contents {
    /// A key is a secret.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Contents").finish_non_exhaustive()
    }
}

impl Certificate {
    fn read(files: TlsFiles, provider: Arc<CryptoProvider>) -> Result<Certificate, TlsError> {
        let read = contents(&files)?;
        let key = Arc::new(parse(&files, &read, &provider)?);
        Ok(Certificate { files, provider, current: RwLock::new(Current { key, read }) })
    }

    /// Whether the files have changed. The error is returned once for each change.
    fn reload(&self) -> Result<bool, TlsError> {
        let read = contents(&self.files)?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).read == read {
            return Ok(false);
        }
        let parsed = parse(&self.files, &read, &self.provider);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.read = read;
        current.key = Arc::new(parsed?);
        Ok(true)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).key.clone())
    }
}

fn contents(files: &TlsFiles) -> Result<Contents, TlsError> {
    Ok(Contents { certificate: file(&files.certificate)?, key: file(&files.key)? })
}

fn file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let at = |source| TlsError::Read { path: path.to_owned(), source };
    match fs::metadata(path).map_err(at)?.len() {
        0..=MAX_FILE => fs::read(path).map_err(at),
        _ => Err(TlsError::TooLarge { path: path.to_owned() }),
    }
}

pub(crate) fn parse(
    files: &TlsFiles,
    contents: &Contents,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let not_pem = |path: &Path| {
        let path = path.to_owned();
        move |error| TlsError::Pem { path, what: fault(&error) }
    };
    let chain = CertificateDer::pem_slice_iter(&contents.certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(not_pem(&files.certificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: files.certificate.clone() });
    }
    let key = match PrivateKeyDer::from_pem_slice(&contents.key) {
        Err(pem::Error::NoItemsFound) => return Err(TlsError::NoKey { path: files.key.clone() }),
        key => key.map_err(not_pem(&files.key))?,
    };
    let pair = CertifiedKey::from_der(chain, key, provider);
    pair.map_err(|source| TlsError::Pair { files: files.clone(), source })
}

/// What is wrong with a file. The parser's own text repeats a line of it, which may have the private key.
fn fault(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "a section has no end on a line of its own (`-----END …-----`); are line breaks missing?"
        }
        pem::Error::IllegalSectionStart { .. } => {
            "a line with `-----BEGIN …-----` has more than that; are line breaks missing?"
        }
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it has no section that can be read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(files: &TlsFiles) {
        let issued = rcgen::generate_simple_self_signed(["chorus.example".to_owned()]).expect("signed");
        fs::write(&files.key, issued.signing_key.serialize_pem()).expect("written");
        fs::write(&files.certificate, issued.cert.pem()).expect("written");
    }

    #[test]
    fn files_that_cannot_be_used_are_reported_once_and_the_certificate_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = TlsFiles { certificate: dir.path().join("certificate.pem"), key: dir.path().join("key.pem") };
        issue(&files);
        let provider = Arc::new(ring::default_provider());
        let certificate = Certificate::read(files.clone(), provider).expect("usable");
        let in_use = || certificate.current.read().expect("whole").key.clone();
        let first = in_use();
        assert!(!certificate.reload().expect("as it was"));
        fs::write(&files.certificate, "half a file").expect("written");
        assert!(matches!(certificate.reload(), Err(TlsError::NoCertificate { .. })));
        assert!(!certificate.reload().expect("reported already"));
        assert!(Arc::ptr_eq(&in_use(), &first));
        issue(&files);
        assert!(certificate.reload().expect("usable"));
        assert!(!Arc::ptr_eq(&in_use(), &first));
    }

    /// As when a file was made from an environment variable.
    #[test]
    fn an_error_repeats_nothing_of_a_private_key_without_line_breaks() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = TlsFiles { certificate: dir.path().join("certificate.pem"), key: dir.path().join("key.pem") };
        issue(&files);
        let key = fs::read_to_string(&files.key).expect("read").replace('\n', "");
        let without_end = key.split("-----END").next().expect("its start").to_owned();
        for key in [key, without_end] {
            fs::write(&files.key, &key).expect("written");
            let error = Certificate::read(files.clone(), Arc::new(ring::default_provider())).expect_err("no PEM");
            let text = format!("{error} {error:?}");
            assert!(text.contains("line breaks") && text.contains("key.pem"), "{text}");
            // The parser shows a line as the numbers of its bytes.
            let shown = format!("{:?}", &key.as_bytes()[..32]);
            assert!(!text.contains(shown.trim_matches(['[', ']'])), "{text}");
        }
    }
}
