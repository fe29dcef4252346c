//! TLS for streams (RFC 3261 §26.2.1, RFC 5922): our certificate, and whom we trust.
//!
//! In: files in PEM. Out: [`Keys`], with which connections are accepted and opened, or the file that is wrong and why.
//! TLS 1.2 and 1.3, nothing older (RFC 8996). A peer we connect to must prove to be who was asked for; one that connects
//! to us shows a certificate only where the configuration wants one, and says who it is by digest all the same.

use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Whether those who connect to us show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked; who has none comes in, who has a bad one does not.
    Request,
    /// Without a good one nobody comes in.
    Require,
}

/// Where the keys are, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyFiles {
    /// Our certificate, then those that lead to the authority.
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key.
    pub(crate) key: Option<PathBuf>,
    /// Authorities of those who connect to us.
    pub(crate) client_ca: Option<PathBuf>,
    /// Whether they are asked.
    pub(crate) client_auth: ClientAuth,
    /// Authorities of those we connect to; the system's where `None`.
    pub(crate) roots: Option<PathBuf>,
}

/// Which file is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// The certificate.
    Certificate(String),
    /// The private key.
    Key(String),
    /// The authorities of those who connect.
    ClientCa(String),
    /// The authorities of those we connect to.
    Roots(String),
}

/// Everything TLS needs, read and checked.
#[derive(Clone)]
pub(crate) struct Keys {
    server: Arc<ServerConfig>,
    /// The same certificate for browsers, who have none of their own.
    web: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Reads the files.
    ///
    /// # Errors
    /// One cannot be read, holds nothing of the kind, or does not fit the others.
    pub(crate) fn load(files: &KeyFiles) -> Result<Self, KeyFault> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let at = files.certificate.as_deref();
        let at = at.ok_or_else(|| KeyFault::Certificate("`[tls]` has no `certificate`".to_owned()))?;
        let key_at = files.key.as_deref().ok_or_else(|| KeyFault::Key("`[tls]` has no `key`".to_owned()))?;
        let chain = certificates(at).map_err(KeyFault::Certificate)?;
        let key = PrivateKeyDer::from_pem_file(key_at).map_err(|error| {
            KeyFault::Key(format!("`{}` holds no private key in PEM: {error}", key_at.display()))
        })?;
        let own = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(_) => KeyFault::Key(format!(
                "`{}` is not the key of the certificate in `{}`",
                key_at.display(),
                at.display()
            )),
            error => KeyFault::Certificate(format!("`{}` cannot be used: {error}", at.display())),
        };

        let builder = || {
            ServerConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .map_err(own)
        };
        let web = builder()?.with_no_client_auth();
        let mut web = web.with_single_cert(chain.clone(), key.clone_key()).map_err(own)?;
        web.alpn_protocols = vec![b"http/1.1".to_vec()];
        let builder = builder()?;
        let builder = match (files.client_auth, &files.client_ca) {
            (ClientAuth::None, _) => builder.with_no_client_auth(),
            (_, None) => {
                return Err(KeyFault::ClientCa("there is no `client_ca` to judge certificates by".into()));
            }
            (wanted, Some(path)) => {
                let roots = Arc::new(roots_in(path).map_err(KeyFault::ClientCa)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
                let verifier =
                    if wanted == ClientAuth::Request { verifier.allow_unauthenticated() } else { verifier };
                let verifier = verifier.build().map_err(|error| {
                    KeyFault::ClientCa(format!("`{}` cannot be used: {error}", path.display()))
                })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let server = builder.with_single_cert(chain.clone(), key.clone_key()).map_err(own)?;

        let roots = match &files.roots {
            Some(path) => roots_in(path).map_err(KeyFault::Roots)?,
            None => system_roots(),
        };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(own)?;
        let client = if roots.is_empty() {
            builder.with_root_certificates(roots)
        } else {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| KeyFault::Roots(error.to_string()))?;
            builder.with_webpki_verifier(verifier)
        };
        // Why: between servers both sides show who they are (RFC 5922 §7.3).
        let client = client.with_client_auth_cert(chain, key).map_err(own)?;
        Ok(Self { server: Arc::new(server), web: Arc::new(web), client: Arc::new(client) })
    }

    /// The handshake with a peer that connected to us.
    pub(crate) async fn accept(self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        TlsAcceptor::from(self.server).accept(stream).await
    }

    /// The handshake with a browser that connected to us.
    pub(crate) async fn accept_web(self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        TlsAcceptor::from(self.web).accept(stream).await
    }

    /// The handshake with a peer we connected to, which must be `name`: a domain or an address.
    pub(crate) async fn connect(
        self,
        name: &str,
        stream: TcpStream,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsConnector::from(self.client).connect(name, stream).await
    }
}

/// Which of these names a verified certificate is for (RFC 5922 §7.2).
pub(crate) fn proved_names(chain: Option<&[CertificateDer<'_>]>, names: &[String]) -> Vec<String> {
    let own = chain.and_then(|chain| ParsedCertificate::try_from(chain.first()?).ok());
    let Some(own) = own else { return Vec::new() };
    let is_for = |name: &&String| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&own, &name).is_ok())
    };
    names.iter().filter(is_for).cloned().collect()
}

/// For connections of a client that shows no certificate; the server must be vouched for by `roots`, or the system's
/// authorities where `None`.
///
/// # Errors
/// The file cannot be read, or holds no authority.
pub(crate) fn client_alone(roots: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    anonymous(roots).map(Arc::new)
}

/// How web servers are connected to: who they are must be proven, who we are is not asked.
pub(crate) fn web_client(files: &KeyFiles) -> Result<Arc<ClientConfig>, String> {
    let mut config = anonymous(files.roots.as_deref())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn anonymous(roots: Option<&Path>) -> Result<ClientConfig, String> {
    let roots = roots.map_or_else(|| Ok(system_roots()), roots_in)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// All certificates of a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!("`{}` holds no certificate in PEM", path.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("`{}` cannot be read as PEM: {error}", path.display())),
    }
}

fn roots_in(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| format!("`{}` holds no authority: {error}", path.display()))?;
    }
    Ok(roots)
}

/// The authorities the system trusts; none where it has none, and then nobody can be connected to.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
