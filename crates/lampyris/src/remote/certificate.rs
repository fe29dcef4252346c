//! A server's certificate as anybody can read it: whose, from whom, until when (RFC 5280).
//!
//! In: DER, as a handshake or a PEM file gives it. Out: [`Certificate`]. Whether it is to be trusted is decided by rustls;
//! [`show`] opens a connection only to look, and sends nothing over it.

use lampyris_core::time::UnixTime;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime as TlsTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// Domains, addresses and URIs it is for.
    pub(crate) names: Vec<String>,
    /// RFC 3339.
    pub(crate) not_before: String,
    /// RFC 3339.
    pub(crate) not_after: String,
    /// Seconds it is still good for; negative once it is not.
    pub(crate) left_s: i64,
}

impl Certificate {
    /// Reads one.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn read(der: &[u8], now: UnixTime) -> Result<Self, String> {
        let (_, read) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let extension = read.subject_alternative_name().map_err(|error| error.to_string())?;
        let names = extension.map(|names| names.value.general_names.iter().filter_map(name).collect());
        let (since, until) = (read.validity().not_before.timestamp(), read.validity().not_after.timestamp());
        let text =
            |at: i64| UnixTime::from_millis(u64::try_from(at).unwrap_or(0).saturating_mul(1000)).rfc3339();
        Ok(Self {
            subject: read.subject().to_string(),
            issuer: read.issuer().to_string(),
            names: names.unwrap_or_default(),
            not_before: text(since),
            not_after: text(until),
            left_s: until - i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// What a handshake showed.
#[derive(Debug)]
pub(crate) struct Shown {
    /// As in `TLSv1_3`.
    pub(crate) version: String,
    /// As in `TLS13_AES_256_GCM_SHA384`.
    pub(crate) cipher: String,
    /// The server's own certificate, in DER.
    pub(crate) certificate: Option<Vec<u8>>,
}

/// Shakes hands with whoever is there, to see the certificate whatever it is worth.
///
/// # Errors
/// The connection fails, or the handshake does.
pub(crate) async fn show(address: SocketAddr, name: &str) -> io::Result<Shown> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Onlooker(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let stream = TcpStream::connect(address).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (_, connection) = stream.get_ref();
    Ok(Shown {
        version: connection.protocol_version().map_or_else(String::new, |version| format!("{version:?}")),
        cipher: connection
            .negotiated_cipher_suite()
            .map_or_else(String::new, |suite| format!("{:?}", suite.suite())),
        certificate: connection.peer_certificates().and_then(<[_]>::first).map(|der| der.as_ref().to_vec()),
    })
}

/// Lets every certificate pass, for a look. Nothing is ever sent over such a connection.
#[derive(Debug)]
struct Onlooker(Arc<CryptoProvider>);

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: TlsTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
