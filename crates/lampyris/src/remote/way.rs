//! The addresses a URI leads to (RFC 3263), asked of the system's DNS, one at a time.

use super::RemoteError;
use crate::resolver;
use hickory_resolver::TokioResolver;
use lampyris_core::flow::Transport;
use lampyris_core::input::{DnsAnswer, DnsQuestion};
use lampyris_core::limits::DNS_WAIT_S;
use lampyris_core::rng::Rng;
use lampyris_core::target::{Hop, Lookup, Next, Target, Wanted, locate};
use lampyris_sip::Uri;
use std::time::Duration;
use tokio::time::timeout;

/// What we can open, most preferred first.
const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// A way under way.
pub(crate) struct Way {
    target: Target,
    rng: Rng,
    dns: Option<TokioResolver>,
    /// What DNS was asked, and what it said, for people.
    pub(crate) asked: Vec<String>,
}

impl Way {
    /// The way to a URI; over `transport` alone where one is given.
    ///
    /// # Errors
    /// The URI is none we can reach.
    pub(crate) fn to(uri: &str, transport: Option<Transport>) -> Result<Self, RemoteError> {
        let wrong = |why: String| RemoteError::Usage(format!("`{uri}`: {why}"));
        let parsed = Uri::parse(uri).map_err(|error| wrong(error.to_string()))?;
        let wanted =
            Wanted::of(&parsed).ok_or_else(|| wrong("only sip: and sips: over UDP, TCP and TLS".into()))?;
        let wanted = Wanted { transport: transport.or(wanted.transport), ..wanted };
        let target = locate(&wanted, &TRANSPORTS);
        if matches!(target, Target::Unreachable) {
            return Err(wrong("no address and transport that can be reached".into()));
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { target, rng: Rng::new(seed), dns: None, asked: Vec::new() })
    }

    /// The next address to try; `None` where none is left.
    pub(crate) async fn next(&mut self) -> Option<Hop> {
        match std::mem::replace(&mut self.target, Target::Unreachable) {
            Target::Immediate(hop) => Some(hop),
            Target::Unreachable => None,
            Target::Lookup(mut lookup) => {
                let hop = self.look_up(&mut lookup).await;
                self.target = Target::Lookup(lookup);
                hop
            }
        }
    }

    async fn look_up(&mut self, lookup: &mut Lookup) -> Option<Hop> {
        loop {
            match lookup.step() {
                Next::Try(hop) => return Some(hop),
                Next::Exhausted => return None,
                Next::Ask(question) => {
                    let answer = self.ask(&question).await;
                    self.asked.push(format!("{}: {}", name(&question), said(&answer)));
                    lookup.on_answer(answer, &mut self.rng);
                }
            }
        }
    }

    async fn ask(&mut self, question: &DnsQuestion) -> DnsAnswer {
        if self.dns.is_none() {
            self.dns = resolver::system().ok();
        }
        let Some(dns) = &self.dns else { return DnsAnswer::Failed };
        let wait = Duration::from_secs(DNS_WAIT_S);
        timeout(wait, resolver::answer(dns, question)).await.unwrap_or(DnsAnswer::Failed)
    }
}

/// A question for people.
pub(crate) fn name(question: &DnsQuestion) -> String {
    match question {
        DnsQuestion::Naptr(name) => format!("NAPTR {name}"),
        DnsQuestion::Srv(name) => format!("SRV {name}"),
        DnsQuestion::Address(name) => format!("A, AAAA {name}"),
    }
}

/// An answer for people.
pub(crate) fn said(answer: &DnsAnswer) -> String {
    let rows: Vec<String> = match answer {
        DnsAnswer::Failed => return "no answer".to_owned(),
        DnsAnswer::Naptr(records) => records
            .iter()
            .map(|r| format!("{} {} {} {}", r.order, r.preference, r.service, r.replacement))
            .collect(),
        DnsAnswer::Srv(records) => {
            records.iter().map(|r| format!("{} {} {}:{}", r.priority, r.weight, r.target, r.port)).collect()
        }
        DnsAnswer::Address(ips) => ips.iter().map(ToString::to_string).collect(),
    };
    if rows.is_empty() { "none".to_owned() } else { rows.join(", ") }
}
