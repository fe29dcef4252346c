//! What the verbs that speak SIP to any server share: which server, as whom, and until when.

use super::failure::Failure;
use super::span;
use crate::config::Listen;
use crate::remote::RemoteError;
use crate::remote::reach::Towards;
use crate::remote::watch::Stop;
use lampyris_core::flow::Transport;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

/// The environment's variable that holds the password.
const PASSWORD_VARIABLE: &str = "LAMPYRIS_PASSWORD";

/// Where to, and as whom.
#[derive(Debug, clap::Args)]
pub(super) struct ElsewhereArgs {
    /// As in sip:6001@pbx.example or 6001@192.0.2.5; where its server is, DNS says
    #[arg(value_name = "URI", value_parser = uri)]
    uri: String,
    /// Go through this server instead, as in udp:192.0.2.5:5060, or a SIP URI
    #[arg(long, value_name = "SERVER", value_parser = server)]
    server: Option<String>,
    /// Over udp, tcp or tls, where the URI does not say
    #[arg(long, value_name = "TRANSPORT", value_parser = transport)]
    transport: Option<Transport>,
    /// Who we say we are, as in sip:reception@pbx.example; --user at the URI's domain where not given
    #[arg(long, value_name = "URI", value_parser = uri)]
    from: Option<String>,
    /// Answer challenges as this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// A file whose first line is the password of --user; without it, LAMPYRIS_PASSWORD is
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Authorities (PEM) that vouch for the server's certificate; the system's where not given
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl ElsewhereArgs {
    /// Where to, and as whom.
    pub(super) fn towards(&self) -> Result<Towards, Failure> {
        let password = match &self.password_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::Refused(format!("{}: {error}", path.display())))?;
                Some(text.lines().next().unwrap_or("").to_owned())
            }
            None => self.user.as_ref().and_then(|_| std::env::var(PASSWORD_VARIABLE).ok()),
        };
        Ok(Towards {
            uri: self.uri.clone(),
            through: self.server.clone(),
            transport: self.transport,
            from: self.from.clone(),
            user: self.user.clone(),
            password,
            roots: self.ca.clone(),
        })
    }
}

/// A URI, with `sip:` before it where it has no scheme.
fn uri(text: &str) -> Result<String, String> {
    let is_whole = ["sip:", "sips:"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let whole = if is_whole { text.to_owned() } else { format!("sip:{text}") };
    match lampyris_sip::Uri::parse(&whole) {
        Ok(_) => Ok(whole),
        Err(error) => Err(format!("it is no SIP URI: {error}")),
    }
}

/// A server as `bench` is told it, or a URI.
fn server(text: &str) -> Result<String, String> {
    match Listen::parse(text) {
        Ok(listen) => Ok(format!("sip:{};transport={}", listen.address, listen.transport.param())),
        Err(_) => uri(text),
    }
}

fn transport(text: &str) -> Result<Transport, String> {
    let known = Transport::parse(text).filter(|transport| !transport.is_opened_by_peers());
    known.ok_or_else(|| "it is udp, tcp or tls".to_owned())
}

/// Until Ctrl-C, SIGTERM, or for so long.
pub(super) fn stop(for_s: Option<u64>) -> Stop {
    Box::pin(async move {
        let terminated = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => _ = signal.recv().await,
                Err(_) => std::future::pending().await,
            }
        };
        let over = async {
            match for_s {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
            () = over => {}
        }
    })
}

/// Runs it on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, RemoteError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work).map_err(|error| match error {
        RemoteError::Usage(why) => Failure::Usage(why),
        RemoteError::Output(error) => Failure::Output(error),
        other => Failure::Refused(other.to_string()),
    })
}

/// A life in seconds, for the command line.
pub(super) fn life(text: &str) -> Result<u32, String> {
    u32::try_from(span::parse(text)?).map_err(|_| "that is too long".to_owned())
}

/// The Accept of a package that is known here.
pub(super) fn accept_of(event: &str) -> String {
    match event {
        "presence" => "application/pidf+xml, multipart/related, application/rlmi+xml".to_owned(),
        "dialog" => "application/dialog-info+xml, multipart/related, application/rlmi+xml".to_owned(),
        "message-summary" => "application/simple-message-summary".to_owned(),
        "reg" => "application/reginfo+xml".to_owned(),
        "as-feature-event" => "application/x-as-feature-event+xml".to_owned(),
        other if other.ends_with(".winfo") => "application/watcherinfo+xml".to_owned(),
        _ => "*/*".to_owned(),
    }
}

/// A URI as people read it.
pub(super) fn short(uri: &str) -> &str {
    uri.strip_prefix("sip:").unwrap_or(uri)
}

/// The time of day in UTC, as in `09:15:33Z`.
pub(super) fn clock() -> String {
    let now = crate::remote::probe::now().rfc3339();
    now.split_once('T').map_or(now.clone(), |(_, time)| time.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_and_servers_are_read_as_people_write_them() {
        for (text, found) in [
            ("6001@pbx.example", Some("sip:6001@pbx.example")),
            ("sip:6001@192.0.2.5:5070", Some("sip:6001@192.0.2.5:5070")),
            ("SIPS:a@b", Some("SIPS:a@b")),
            ("sip:", None),
            ("a b@c", None),
        ] {
            assert_eq!(uri(text).ok().as_deref(), found, "{text}");
        }
        for (text, found) in [
            ("tcp:192.0.2.5:5070", Some("sip:192.0.2.5:5070;transport=tcp")),
            ("tls:[::1]:5061", Some("sip:[::1]:5061;transport=tls")),
            ("pbx.example", Some("sip:pbx.example")),
            ("sip:pbx.example;transport=tls", Some("sip:pbx.example;transport=tls")),
        ] {
            assert_eq!(server(text).ok().as_deref(), found, "{text}");
        }
        assert!(transport("ws").is_err() && transport("TLS").is_ok());
    }
}
