//! One look at a SIP server: the way to it, its certificate, OPTIONS, and a SUBSCRIBE for each package of interest.
//!
//! It changes nothing there: every subscription that is granted is ended again. Each step is timed; one that fails does not
//! stop the others.

use super::certificate::{self, Certificate};
use super::document::{Reader, Said};
use super::limits::{CONNECT, PROBE_EXPIRES_S};
use super::reach::{Reached, Towards};
use super::{RemoteError, explain, status_of, watch};
use crate::ua::{Heard, Notified};
use lampyris_core::target::Hop;
use lampyris_core::time::UnixTime;
use lampyris_sip::{Message, Method, Name};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout};

/// A package that no server has, so that it says which it has (RFC 6665 §4.2.1.4).
const NO_PACKAGE: &str = "lampyris-probe";

/// What is to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) towards: Towards,
    /// Event packages, each with its Accept.
    pub(crate) packages: Vec<(String, String)>,
    /// How long each answer is waited for.
    pub(crate) patience: Duration,
}

/// What was seen.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) uri: String,
    /// What DNS was asked and said.
    pub(crate) dns: Vec<String>,
    /// Each address of the way, in order, up to the one that answered.
    pub(crate) addresses: Vec<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<Answer>,
    pub(crate) subscriptions: Vec<Subscribed>,
    /// Event packages that the server says it has.
    pub(crate) packages: Vec<String>,
    /// It answered something.
    pub(crate) answers: bool,
}

/// One address.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Address {
    /// As in `udp:192.0.2.1:5060`.
    pub(crate) address: String,
    /// From the beginning to the open connection; none over UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
    /// Why it is no use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// TLS there.
#[derive(Debug, Serialize)]
pub(crate) struct Tls {
    pub(crate) version: String,
    pub(crate) cipher: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<Certificate>,
}

/// An answer to a request.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    /// None where nothing came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    pub(crate) reason: String,
    pub(crate) ms: f64,
    /// Server or User-Agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
    /// Allow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow: Vec<String>,
    /// Allow-Events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow_events: Vec<String>,
    /// Accept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) accept: Vec<String>,
    /// Supported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) supported: Vec<String>,
    /// The challenge, without its nonce.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) challenges: Vec<String>,
    /// What went wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// A subscription that was tried.
#[derive(Debug, Serialize)]
pub(crate) struct Subscribed {
    pub(crate) event: String,
    #[serde(flatten)]
    pub(crate) answer: Answer,
    /// Seconds granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_s: Option<u32>,
    /// From the SUBSCRIBE to the first NOTIFY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) notify_ms: Option<f64>,
    /// Subscription-State of the NOTIFY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    /// Content-Type of the NOTIFY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    /// What its body says.
    pub(crate) said: Vec<Said>,
}

/// Looks.
///
/// # Errors
/// The URI is none. That nobody answers stands in the report.
pub(crate) async fn run(probe: &Probe) -> Result<Report, RemoteError> {
    let mut report = Report { uri: probe.towards.uri.clone(), ..Report::default() };
    probe.towards.account()?;
    let mut way = probe.towards.way()?;
    let mut reached = None;
    while let Some(hop) = way.next().await {
        let (row, found) = look(probe, hop).await;
        report.addresses.push(row);
        if let Some(found) = found {
            reached = Some(found);
            break;
        }
    }
    report.dns = way.asked;
    let Some(mut reached) = reached else { return Ok(report) };
    let options = options(probe, &reached).await;
    report.answers |= options.status.is_some();
    report.packages.clone_from(&options.allow_events);
    report.options = Some(options);
    for (event, accept) in &probe.packages {
        let tried = subscribe(probe, &mut reached, event, accept).await;
        report.answers |= tried.answer.status.is_some();
        learn(&mut report.packages, &tried.answer.allow_events);
        report.subscriptions.push(tried);
    }
    if report.packages.is_empty() && report.answers {
        let tried = subscribe(probe, &mut reached, NO_PACKAGE, "*/*").await;
        learn(&mut report.packages, &tried.answer.allow_events);
    }
    Ok(report)
}

fn learn(packages: &mut Vec<String>, more: &[String]) {
    for package in more {
        if !packages.contains(package) {
            packages.push(package.clone());
        }
    }
}

async fn look(probe: &Probe, hop: Hop) -> (Address, Option<Reached>) {
    let mut row = Address { address: format!("{}:{}", hop.transport, hop.address), ..Address::default() };
    if hop.transport.is_secure() {
        match timeout(CONNECT, certificate::show(hop.address, &hop.name)).await {
            Ok(Ok(shown)) => {
                let read = shown.certificate.as_deref().map(|der| Certificate::read(der, now()));
                let certificate = read.and_then(Result::ok);
                row.tls = Some(Tls { version: shown.version, cipher: shown.cipher, certificate });
            }
            Ok(Err(error)) => {
                row.trouble = Some(error.to_string());
                return (row, None);
            }
            Err(_) => {
                row.trouble = Some(format!("no handshake within {} s", CONNECT.as_secs()));
                return (row, None);
            }
        }
    }
    let began = Instant::now();
    let is_stream = hop.transport != lampyris_core::flow::Transport::Udp;
    match probe.towards.open(hop).await {
        Ok(reached) => {
            row.connect_ms = is_stream.then(|| ms(began));
            (row, Some(reached))
        }
        Err(why) => {
            row.trouble = Some(why);
            (row, None)
        }
    }
}

async fn options(probe: &Probe, reached: &Reached) -> Answer {
    let headers = [(Name::Accept, "application/sdp, application/pidf+xml".to_owned())];
    let began = Instant::now();
    let asked = reached.phone.ask(Method::Options, &probe.towards.uri, &headers, None);
    answer(probe, "OPTIONS", began, timeout(probe.patience, asked).await)
}

async fn subscribe(probe: &Probe, reached: &mut Reached, event: &str, accept: &str) -> Subscribed {
    let mut subscription = reached.phone.intend(&probe.towards.uri, event, accept);
    let began = Instant::now();
    let asked = timeout(probe.patience, reached.phone.renew(&mut subscription, PROBE_EXPIRES_S)).await;
    let granted = match &asked {
        Ok(Ok(message)) if (200..300).contains(&status_of(message)) => {
            Some(super::granted_s(message, PROBE_EXPIRES_S))
        }
        _ => None,
    };
    let mut out = Subscribed {
        event: event.to_owned(),
        answer: answer(probe, "SUBSCRIBE", began, asked),
        expires_s: granted,
        notify_ms: None,
        state: None,
        content_type: None,
        said: Vec::new(),
    };
    if granted.is_none() {
        return out;
    }
    let first = async {
        while let Some(told) = reached.heard.recv().await {
            match told {
                Heard::Notified(notify) if notify.call_id == subscription.call_id() => return Some(notify),
                _ => {}
            }
        }
        None
    };
    match timeout(probe.patience, first).await {
        Ok(Some(notify)) => take(&mut out, probe, &notify, began),
        _ => {
            let why =
                "it was granted, but no NOTIFY came: a firewall, or a server that cannot reach our Contact?";
            out.answer.trouble = Some(why.to_owned());
        }
    }
    watch::leave(&reached.phone, &mut subscription, Some(&mut reached.heard)).await;
    out
}

fn take(out: &mut Subscribed, probe: &Probe, notify: &Notified, began: Instant) {
    out.notify_ms = Some(ms(began));
    out.state = Some(notify.state.clone());
    out.content_type = Some(notify.content_type.clone()).filter(|kind| !kind.is_empty());
    match Reader::default().read(&probe.towards.uri, &notify.content_type, &notify.body.clone().into()) {
        Ok(said) => out.said = said,
        Err(why) => out.answer.trouble = Some(why),
    }
}

type Asked = Result<Result<Message, crate::ua::UaError>, tokio::time::error::Elapsed>;

fn answer(probe: &Probe, method: &str, began: Instant, asked: Asked) -> Answer {
    let took = ms(began);
    let message = match asked {
        Ok(Ok(message)) => message,
        Ok(Err(error)) => return Answer { ms: took, trouble: Some(error.to_string()), ..Answer::default() },
        Err(_) => {
            let trouble = Some(format!("no answer within {} s", probe.patience.as_secs()));
            return Answer { ms: took, trouble, ..Answer::default() };
        }
    };
    let list = |name| message.values(name).map(str::to_owned).collect();
    let status = status_of(&message);
    let challenged = message.headers(Name::WwwAuthenticate).chain(message.headers(Name::ProxyAuthenticate));
    Answer {
        status: Some(status),
        reason: message.reason_phrase().to_owned(),
        ms: took,
        agent: message
            .header_by_name("Server")
            .or_else(|| message.header(Name::UserAgent))
            .map(str::to_owned),
        allow: list(Name::Allow),
        allow_events: list(Name::AllowEvents),
        accept: list(Name::Accept),
        supported: list(Name::Supported),
        challenges: challenged.filter_map(challenge).collect(),
        trouble: (!(200..300).contains(&status))
            .then(|| explain(&message, method, probe.towards.password.is_some())),
    }
}

/// What a challenge is about: realm and algorithm.
fn challenge(value: &str) -> Option<String> {
    let challenge = lampyris_sip::headers::Challenge::parse(value).ok()?;
    let algorithm =
        challenge.digest_algorithm().map_or("an unknown algorithm", |algorithm| algorithm.token());
    Some(format!("{} for {}", algorithm, challenge.realm))
}

fn ms(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 10_000.0).round() / 10.0
}

/// The time by the system's clock.
pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
