//! The running binary with certificates of its own, and plain SIP over whatever a test connects with.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod web;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Peers that are not challenged, and a lamp.
pub(crate) const OFFICE: &str = "[domains.\"example.com\"]\n[peers.alice]\nopen = true\n[peers.bob]\nopen = true\n\
                          [hints]\n\"7000\" = \"Custom:lamp\"\n";

/// An authority, and what it has signed.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) root: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let root = issuer.der().clone();
        Self { issuer, root }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these names and its key, in PEM.
    pub(crate) fn sign(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// The running binary, its configuration in a directory of its own.
pub(crate) struct Lab {
    pub(crate) directory: PathBuf,
    pub(crate) authority: Authority,
    pub(crate) child: Child,
    listening: Vec<String>,
}

impl Lab {
    /// With these options beside the office's, listening on ports of the system's choosing.
    pub(crate) fn start(name: &str, listen: &[&str], options: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{name}"));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(directory.join("data")).unwrap();
        let authority = Authority::new();
        let http = if options.contains("http =") { "" } else { "http = \"off\"\n" };
        let text = |part: &str| std::fs::write(directory.join("lampyris.toml"), part).unwrap();
        let listen: Vec<_> = listen.iter().map(|at| format!("{at:?}")).collect();
        text(&format!(
            "[server]\nlisten = [{}]\n{http}{options}\n[tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
             roots = \"ca.pem\"\n{OFFICE}",
            listen.join(", ")
        ));
        std::fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
        let mut lab = Self {
            directory,
            authority,
            child: Command::new("true").spawn().unwrap(),
            listening: Vec::new(),
        };
        lab.certify(&["localhost", "127.0.0.1", "::1"]);
        lab.run();
        lab
    }

    /// Replaces the server's certificate on disk.
    pub(crate) fn certify(&self, names: &[&str]) {
        let (certificate, key) = self.authority.sign(names);
        std::fs::write(self.directory.join("server.pem"), certificate).unwrap();
        std::fs::write(self.directory.join("server.key"), key).unwrap();
    }

    /// Changes the configuration on disk.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let path = self.directory.join("lampyris.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    fn run(&mut self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lampyris"))
            .arg("run")
            .args([self.directory.join("lampyris.toml"), "--data".into(), self.directory.join("data")])
            .stdout(Stdio::piped())
            .stderr(Stdio::from(std::fs::File::create(self.directory.join("log")).unwrap()))
            .env("RUST_LOG", "debug")
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        self.listening = lines.take_while(|line| !line.starts_with("data ")).collect();
        let _ = std::mem::replace(&mut self.child, child).wait();
        assert!(
            !self.listening.is_empty(),
            "{}",
            std::fs::read_to_string(self.directory.join("log")).unwrap()
        );
    }

    /// kill -9, and a start on the same store and ports.
    pub(crate) fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        for line in self.listening.clone() {
            let (transport, at) = line.strip_prefix("listening ").unwrap().split_once(':').unwrap();
            let host = at.rsplit_once(':').unwrap().0;
            self.edit(&format!("{transport}:{host}:0"), &format!("{transport}:{at}"));
        }
        self.run();
    }

    /// Where it listens by this transport.
    pub(crate) fn address(&self, transport: &str) -> SocketAddr {
        let lines = self.listening.iter();
        let found = lines.filter_map(|line| line.strip_prefix("listening ")?.split_once(':'));
        found.filter(|(name, _)| *name == transport).find_map(|(_, at)| at.parse().ok()).unwrap()
    }

    /// What was printed behind this word at the start, as in `http`.
    pub(crate) fn printed(&self, word: &str) -> Option<&str> {
        self.listening.iter().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
    }

    /// Runs the command line against it.
    pub(crate) fn ask(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
        command.arg("--data").arg(self.directory.join("data")).args(words).output().unwrap()
    }

    pub(crate) fn lamp(&self, state: &str) {
        assert!(self.ask(&["devstate", "set", "Custom:lamp", state]).status.success());
    }

    /// A connection that trusts the lab's authority, with a certificate (in PEM, and its key) where one is given.
    pub(crate) fn tls(
        &self,
        own: Option<&(String, String)>,
    ) -> Sip<StreamOwned<ClientConnection, TcpStream>> {
        let stream = TcpStream::connect(self.address("tls")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Sip::new(secured(stream, "localhost", &self.authority.root, own), "TLS")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// TLS over a connection, to somebody of this name.
pub(crate) fn secured(
    stream: TcpStream,
    name: &str,
    root: &CertificateDer<'static>,
    own: Option<&(String, String)>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            builder
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
                .unwrap()
        }
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

/// SIP over a stream of bytes, as text.
pub(crate) struct Sip<S> {
    pub(crate) stream: S,
    transport: &'static str,
    buffer: Vec<u8>,
    sent: u32,
}

impl<S: Read + Write> Sip<S> {
    pub(crate) fn new(stream: S, transport: &'static str) -> Self {
        Self { stream, transport, buffer: Vec::new(), sent: 0 }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    /// The next message, whole.
    pub(crate) fn read(&mut self) -> io::Result<String> {
        loop {
            let text = String::from_utf8(self.buffer.clone()).unwrap();
            if let Some(end) = text.find("\r\n\r\n").map(|at| at + 4) {
                let length = header(&text, "Content-Length").map_or(0, |length| length.parse().unwrap());
                if text.len() >= end + length {
                    self.buffer.drain(..end + length);
                    return Ok(text[..end + length].to_owned());
                }
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }

    pub(crate) fn request(&mut self, method: &str, uri: &str, more: &str) {
        self.sent += 1;
        let text = request(method, uri, self.transport, self.sent, more);
        self.send(&text);
    }

    /// Reads a NOTIFY, answers it, and gives it back.
    pub(crate) fn notified(&mut self) -> String {
        let notify = self.read().unwrap();
        assert!(notify.starts_with("NOTIFY "), "{notify}");
        self.send(&answer(&notify));
        notify
    }
}

/// A request of alice's; one Call-ID for each event, so that what follows in its dialog can be told.
pub(crate) fn request(method: &str, uri: &str, transport: &str, number: u32, more: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} x7.invalid;branch=z9hG4bK-{method}-{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=t{number}\r\nTo: <{}>\r\nCall-ID: {method}-{number}\r\n\
         CSeq: {number} {method}\r\n{more}Content-Length: 0\r\n\r\n",
        if method == "REGISTER" { "sip:alice@example.com" } else { uri }
    )
}

/// 200 to a request.
pub(crate) fn answer(request: &str) -> String {
    let kept: String = request
        .lines()
        .filter(|line| {
            ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
        })
        .map(|line| format!("{line}\r\n"))
        .collect();
    format!("SIP/2.0 200 OK\r\n{kept}Content-Length: 0\r\n\r\n")
}

/// The value of a header.
pub(crate) fn header<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
