//! DNS for the node: the questions of RFC 3263, asked of the system's resolvers.
//!
//! In: `Output::Resolve`. Out: `Input::Resolved`, through the inbox, exactly once per question. "There is no such
//! record" is an empty answer; everything else that goes wrong is `Failed`. Choosing among the answers is the node's.

use crate::engine::inbox::{Happening, Mailbox};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{RData, RecordType};
use lampyris_core::input::{DnsAnswer, DnsQuestion, NaptrRecord, QueryId, SrvRecord};
use lampyris_core::limits::DNS_WAIT_S;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Most questions being asked at a time; more wait, and fail when they have waited too long.
const QUESTIONS_MAX: usize = 256;

/// Asks questions on the runtime.
pub(crate) struct Resolver {
    runtime: Handle,
    mailbox: Mailbox,
    /// None where the system has no usable configuration; then only numbers are known.
    dns: Option<Arc<TokioResolver>>,
    questions: Arc<Semaphore>,
}

impl Resolver {
    /// A resolver with the system's configuration.
    pub(crate) fn new(runtime: Handle, mailbox: Mailbox) -> Self {
        let _in_runtime = runtime.enter();
        let dns = system()
            .inspect_err(
                |error| tracing::warn!(%error, "no DNS: names of peers and domains cannot be looked up"),
            )
            .ok()
            .map(Arc::new);
        Self { runtime, mailbox, dns, questions: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    /// Asks; the answer comes to the inbox.
    pub(crate) fn ask(&self, query: QueryId, question: DnsQuestion) {
        let (mailbox, dns, questions) = (self.mailbox.clone(), self.dns.clone(), self.questions.clone());
        self.runtime.spawn(async move {
            let asked = async {
                let _turn = questions.acquire().await.ok()?;
                Some(answer(&*dns?, &question).await)
            };
            let answer = match timeout(Duration::from_secs(DNS_WAIT_S), asked).await {
                Ok(Some(answer)) => answer,
                Ok(None) | Err(_) => DnsAnswer::Failed,
            };
            mailbox.put(Happening::Resolved { query, answer });
        });
    }
}

/// The system's resolvers; to be made inside a runtime.
///
/// # Errors
/// The system has no usable configuration.
pub(crate) fn system() -> Result<TokioResolver, NetError> {
    TokioResolver::builder_tokio().and_then(|mut builder| {
        let options = builder.options_mut();
        options.timeout = Duration::from_secs(2);
        options.attempts = 2;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build()
    })
}

/// What DNS says; "there is no such record" is an empty answer.
pub(crate) async fn answer(dns: &TokioResolver, question: &DnsQuestion) -> DnsAnswer {
    let answer = match question {
        DnsQuestion::Address(host) => {
            // Why: a name with dots is absolute in SIP; only a bare one is looked for in the search list.
            dns.lookup_ip(absolute(host)).await.map(|found| DnsAnswer::Address(found.iter().collect()))
        }
        DnsQuestion::Srv(name) => dns.lookup(absolute(name), RecordType::SRV).await.map(|found| {
            DnsAnswer::Srv(found.answers().iter().filter_map(|record| srv(&record.data)).collect())
        }),
        DnsQuestion::Naptr(name) => dns.lookup(absolute(name), RecordType::NAPTR).await.map(|found| {
            DnsAnswer::Naptr(found.answers().iter().filter_map(|record| naptr(&record.data)).collect())
        }),
    };
    answer.unwrap_or_else(|error: NetError| {
        if error.is_no_records_found() {
            return match question {
                DnsQuestion::Address(_) => DnsAnswer::Address(Vec::new()),
                DnsQuestion::Srv(_) => DnsAnswer::Srv(Vec::new()),
                DnsQuestion::Naptr(_) => DnsAnswer::Naptr(Vec::new()),
            };
        }
        tracing::debug!(?question, %error, "DNS gives no answer");
        DnsAnswer::Failed
    })
}

fn absolute(name: &str) -> String {
    let name = name.trim_end_matches('.');
    if name.contains('.') && name.parse::<std::net::IpAddr>().is_err() {
        format!("{name}.")
    } else {
        name.to_owned()
    }
}

fn srv(data: &RData) -> Option<SrvRecord> {
    let RData::SRV(srv) = data else { return None };
    let target = relative(&srv.target.to_ascii());
    Some(SrvRecord { priority: srv.priority, weight: srv.weight, port: srv.port, target })
}

fn naptr(data: &RData) -> Option<NaptrRecord> {
    let RData::NAPTR(naptr) = data else { return None };
    Some(NaptrRecord {
        order: naptr.order,
        preference: naptr.preference,
        flags: String::from_utf8_lossy(&naptr.flags).into_owned(),
        service: String::from_utf8_lossy(&naptr.services).into_owned(),
        replacement: relative(&naptr.replacement.to_ascii()),
    })
}

fn relative(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
    use std::str::FromStr as _;

    #[test]
    fn names_are_absolute_on_the_way_out_and_plain_on_the_way_in() {
        for (name, asked) in [
            ("pbx", "pbx"),
            ("example.com", "example.com."),
            ("example.com.", "example.com."),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(absolute(name), asked);
        }
        let name = |text| Name::from_str(text).expect("a name");
        let record = SRV::new(1, 2, 5070, name("Host.Example.com."));
        let expected = SrvRecord { priority: 1, weight: 2, port: 5070, target: "host.example.com".into() };
        assert_eq!(srv(&RData::SRV(record)), Some(expected));
        let record = NAPTR::new(
            10,
            20,
            (*b"s").into(),
            (*b"SIP+D2U").into(),
            Box::default(),
            name("_sip._udp.example.com."),
        );
        let expected = NaptrRecord {
            order: 10,
            preference: 20,
            flags: "s".into(),
            service: "SIP+D2U".into(),
            replacement: "_sip._udp.example.com".into(),
        };
        assert_eq!(naptr(&RData::NAPTR(record)), Some(expected));
    }
}
