//! A socket to a server: the first address of its way that takes us.

use super::RemoteError;
use super::limits::CONNECT;
use super::way::Way;
use crate::transport::tls;
use crate::ua::{Account, Heard, Phone, Trust};
use lampyris_core::flow::Transport;
use lampyris_core::target::Hop;
use lampyris_sip::Uri;
use rustls::ClientConfig;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

/// Where to go, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Towards {
    /// The Request-URI.
    pub(crate) uri: String,
    /// A server to go through instead of where the URI leads, as a URI.
    pub(crate) through: Option<String>,
    /// The transport, where the URI does not settle it.
    pub(crate) transport: Option<Transport>,
    /// Who asks: a URI; somebody without a name where not given.
    pub(crate) from: Option<String>,
    /// Digest username.
    pub(crate) user: Option<String>,
    /// Digest password.
    pub(crate) password: Option<String>,
    /// Authorities (PEM); the system's where not given.
    pub(crate) roots: Option<PathBuf>,
}

/// A server that was reached.
pub(crate) struct Reached {
    pub(crate) phone: Phone,
    pub(crate) heard: UnboundedReceiver<Heard>,
    pub(crate) hop: Hop,
}

impl Towards {
    /// The way there.
    pub(crate) fn way(&self) -> Result<Way, RemoteError> {
        Way::to(self.through.as_deref().unwrap_or(&self.uri), self.transport)
    }

    /// Who asks.
    pub(crate) fn account(&self) -> Result<Account, RemoteError> {
        let wrong = |text: &str, why: String| RemoteError::Usage(format!("`{text}`: {why}"));
        let there = Uri::parse(&self.uri).map_err(|error| wrong(&self.uri, error.to_string()))?;
        let domain = match there.port() {
            Some(port) => format!("{}:{port}", there.host_str()),
            None => there.host_str().to_owned(),
        };
        let (user, domain) = match (&self.from, &self.user) {
            (Some(from), _) => {
                let from_uri = Uri::parse(from).map_err(|error| wrong(from, error.to_string()))?;
                let user = from_uri.user().ok_or_else(|| wrong(from, "it names nobody".to_owned()))?;
                let port = from_uri.port().map(|port| format!(":{port}")).unwrap_or_default();
                (user.to_owned(), format!("{}{port}", from_uri.host_str()))
            }
            (None, Some(user)) => (user.clone(), domain),
            (None, None) => ("anonymous".to_owned(), domain),
        };
        Ok(Account {
            login: self.user.clone(),
            user,
            domain,
            password: self.password.clone(),
            display: String::new(),
        })
    }

    /// The keys of a client that shows no certificate.
    pub(crate) fn keys(&self) -> Result<Arc<ClientConfig>, RemoteError> {
        tls::client_alone(self.roots.as_deref()).map_err(RemoteError::Usage)
    }

    /// Opens a socket to one address.
    pub(crate) async fn open(&self, hop: Hop) -> Result<Reached, String> {
        let account = self.account().map_err(|error| error.to_string())?;
        let trust = match hop.transport.is_secure() {
            true => {
                let config = self.keys().map_err(|error| error.to_string())?;
                Some(Trust { name: hop.name.to_string(), config })
            }
            false => None,
        };
        let opened = Phone::connect(account, hop.transport, hop.address, trust.as_ref());
        match timeout(CONNECT, opened).await {
            Ok(Ok((phone, heard))) => Ok(Reached { phone, heard, hop }),
            Ok(Err(error)) => Err(format!("{}:{}: {error}", hop.transport, hop.address)),
            Err(_) => Err(format!(
                "{}:{}: no connection within {} s",
                hop.transport,
                hop.address,
                CONNECT.as_secs()
            )),
        }
    }

    /// Opens a socket to the first address that takes us.
    ///
    /// # Errors
    /// None does; each with its reason.
    pub(crate) async fn reach(&self) -> Result<Reached, RemoteError> {
        let mut way = self.way()?;
        let mut failed = Vec::new();
        while let Some(hop) = way.next().await {
            match self.open(hop).await {
                Ok(reached) => return Ok(reached),
                Err(why) => failed.push(why),
            }
        }
        let tried = if failed.is_empty() { way.asked } else { failed };
        Err(RemoteError::Unreachable(format!("{} cannot be reached:\n{}", self.uri, tried.join("\n"))))
    }
}
