//! Where a request goes: the server location of RFC 3263 §4 as a list of things to try, with DNS as an input.
//!
//! In goes what a URI names ([`Wanted`]); out come, one at a time, DNS questions and addresses to try. An address that
//! fails (503, time-out, refused connection: RFC 3263 §4.3) is followed by the next. Names are looked up only when
//! their turn comes. A numeric host needs no DNS: [`locate`] gives its one [`Hop`] at once.
//!
//! What it does not do: ask DNS, cache, open connections, decide whether we may talk to an address beyond refusing
//! those that are nobody's (unspecified, multicast, broadcast).

use crate::flow::Transport;
use crate::input::{DnsAnswer, DnsQuestion, NaptrRecord, SrvRecord};
use crate::limits;
use crate::rng::Rng;
use lampyris_sip::{Scheme, Uri};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What a URI says about where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `maddr` if there is one, else the host; a name or a numeric address, IPv6 with or without brackets.
    pub host: String,
    /// The explicit port.
    pub port: Option<u16>,
    /// The `transport` parameter; TLS for `sips:`.
    pub transport: Option<Transport>,
    /// Nothing but TLS will do (RFC 3261 §26.2.2).
    pub is_sips: bool,
    /// Whom a certificate must be for: the URI's host, whatever DNS makes of it (RFC 5922 §4).
    pub name: Arc<str>,
}

impl Wanted {
    /// What a URI names; `None` (we cannot reach it) for other schemes, for transports we do not speak, and for what only
    /// its own connection leads to: a browser's `transport=ws` and `.invalid` (RFC 7118 §5, RFC 2606 §2).
    pub fn of(uri: &Uri<'_>) -> Option<Self> {
        let is_sips = match uri.scheme() {
            Scheme::Sip => false,
            Scheme::Sips => true,
            _ => return None,
        };
        let named = match uri.params().get("transport") {
            Some(name) => Some(Transport::parse(name)?),
            None => None,
        };
        let transport = match (is_sips, named) {
            (_, Some(Transport::Ws | Transport::Wss)) | (true, Some(Transport::Udp)) => return None,
            // RFC 3261 §26.2.2: with sips, `transport=tcp` is what is beneath TLS.
            (true, Some(Transport::Tcp)) => Some(Transport::Tls),
            (_, named) => named,
        };
        let name = uri.host_str().trim_start_matches('[').trim_end_matches([']', '.']);
        // RFC 3261 §19.1.1: maddr overrides the host.
        let host = uri.params().get("maddr").unwrap_or_else(|| uri.host_str()).to_owned();
        if host.trim_end_matches('.').to_ascii_lowercase().ends_with(".invalid") {
            return None;
        }
        Some(Self { host, port: uri.port(), transport, is_sips, name: name.to_ascii_lowercase().into() })
    }
}

/// An address and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The transport.
    pub transport: Transport,
    /// The address.
    pub address: SocketAddr,
    /// Whom its certificate must be for.
    pub name: Arc<str>,
}

/// The way to a target.
#[derive(Clone, Debug)]
pub enum Target {
    /// Known without DNS.
    Immediate(Hop),
    /// To be looked up.
    Lookup(Lookup),
    /// Nothing we can reach.
    Unreachable,
}

/// What a lookup wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask this, then [`Lookup::on_answer`].
    Ask(DnsQuestion),
    /// Try this; if it fails, [`Lookup::step`].
    Try(Hop),
    /// There is nothing left: the request has failed (as with 503).
    Exhausted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Naptr {
        domain: String,
    },
    Srv {
        transport: Transport,
        name: String,
    },
    Host {
        transport: Transport,
        host: String,
        port: u16,
    },
    /// The domain itself, if no SRV record was found (RFC 3263 §4.2).
    Fallback {
        transport: Transport,
        domain: String,
    },
    Hop(Hop),
}

/// A lookup under way.
#[derive(Clone, Debug)]
pub struct Lookup {
    items: VecDeque<Item>,
    asked: Option<Item>,
    supported: Vec<Transport>,
    is_sips: bool,
    name: Arc<str>,
    srv_found: bool,
    tries: u32,
    questions: u32,
}

/// Begins to locate `wanted`; `supported` are the transports we can open, most preferred first.
pub fn locate(wanted: &Wanted, supported: &[Transport]) -> Target {
    let mut supported = supported.to_vec();
    if wanted.is_sips {
        supported.retain(|transport| transport.is_secure());
    }
    let transport = match wanted.transport {
        Some(transport) if supported.contains(&transport) => Some(transport),
        Some(_) => return Target::Unreachable,
        None => None,
    };
    let Some(default) = transport.or_else(|| default_transport(&supported)) else {
        return Target::Unreachable;
    };
    let host = wanted.host.trim_end_matches('.');
    if let Some(ip) = numeric(host) {
        let address = SocketAddr::new(ip, wanted.port.unwrap_or(default.port()));
        let hop = Hop { transport: default, address, name: wanted.name.clone() };
        return if is_somebodys(address) { Target::Immediate(hop) } else { Target::Unreachable };
    }
    if host.is_empty() || wanted.port == Some(0) {
        return Target::Unreachable;
    }
    let domain = host.to_ascii_lowercase();
    let items = match (wanted.port, transport) {
        (Some(port), _) => VecDeque::from([Item::Host { transport: default, host: domain, port }]),
        (None, Some(transport)) => {
            let name = service(transport, &domain);
            VecDeque::from([Item::Srv { transport, name }, Item::Fallback { transport, domain }])
        }
        (None, None) => VecDeque::from([Item::Naptr { domain }]),
    };
    let (is_sips, name) = (wanted.is_sips, wanted.name.clone());
    Target::Lookup(Lookup {
        items,
        asked: None,
        supported,
        is_sips,
        name,
        srv_found: false,
        tries: 0,
        questions: 0,
    })
}

impl Lookup {
    /// What to do next: at first, after an answer, and after each address that failed.
    pub fn step(&mut self) -> Next {
        while let Some(item) = self.items.pop_front() {
            let question = match &item {
                Item::Hop(_) if self.tries >= limits::TARGET_TRIES_MAX => break,
                Item::Hop(hop) => {
                    self.tries += 1;
                    return Next::Try(hop.clone());
                }
                Item::Fallback { .. } if self.srv_found => continue,
                Item::Fallback { transport, domain } => {
                    let (transport, host) = (*transport, domain.clone());
                    self.items.push_front(Item::Host { transport, host, port: transport.port() });
                    continue;
                }
                Item::Naptr { domain } => DnsQuestion::Naptr(domain.clone()),
                Item::Srv { name, .. } => DnsQuestion::Srv(name.clone()),
                Item::Host { host, .. } => DnsQuestion::Address(host.clone()),
            };
            if self.questions >= limits::TARGET_QUESTIONS_MAX {
                break;
            }
            self.questions += 1;
            self.asked = Some(item);
            return Next::Ask(question);
        }
        self.items.clear();
        Next::Exhausted
    }

    /// Takes the answer to the question last asked; `rng` shares the load among SRV records (RFC 2782).
    pub fn on_answer(&mut self, answer: DnsAnswer, rng: &mut Rng) {
        let name = self.name.clone();
        let hop = |transport, ip, port| {
            Item::Hop(Hop { transport, address: SocketAddr::new(ip, port), name: name.clone() })
        };
        let found = match (self.asked.take(), answer) {
            (Some(Item::Naptr { domain }), answer) => {
                let records = if let DnsAnswer::Naptr(records) = answer { records } else { Vec::new() };
                self.services(&domain, records)
            }
            (Some(Item::Srv { transport, .. }), DnsAnswer::Srv(records)) => {
                self.srv_found |= !records.is_empty();
                ordered(records, rng)
                    .into_iter()
                    .map(|r| (r.target.trim_end_matches('.').to_ascii_lowercase(), r.port))
                    // Why: a target of "." says that the service is decidedly not there (RFC 2782).
                    .filter(|(host, port)| !host.is_empty() && *port != 0)
                    .map(|(host, port)| match numeric(&host) {
                        Some(ip) => hop(transport, ip, port),
                        None => Item::Host { transport, host, port },
                    })
                    .collect()
            }
            (Some(Item::Host { transport, port, .. }), DnsAnswer::Address(ips)) => {
                ips.into_iter().take(limits::DNS_RECORDS_MAX).map(|ip| hop(transport, ip, port)).collect()
            }
            _ => Vec::new(),
        };
        let usable = found.into_iter().filter(|item| match item {
            Item::Hop(hop) => is_somebodys(hop.address),
            _ => true,
        });
        for item in usable.rev() {
            self.items.push_front(item);
        }
    }

    /// The SRV names that NAPTR records lead to (RFC 3263 §4.1); without any, those of all our transports.
    fn services(&self, domain: &str, mut records: Vec<NaptrRecord>) -> Vec<Item> {
        records.truncate(limits::DNS_RECORDS_MAX);
        records.sort_by(|a, b| {
            (a.order, a.preference, &a.service, &a.replacement).cmp(&(
                b.order,
                b.preference,
                &b.service,
                &b.replacement,
            ))
        });
        let mut items: Vec<Item> = records
            .iter()
            .filter(|record| record.flags.eq_ignore_ascii_case("s"))
            .filter_map(|record| {
                let transport =
                    transport_of(&record.service, self.is_sips).filter(|t| self.supported.contains(t))?;
                let name = record.replacement.trim_end_matches('.').to_ascii_lowercase();
                (!name.is_empty()).then_some(Item::Srv { transport, name })
            })
            .collect();
        let first = items.first().and_then(|item| match item {
            Item::Srv { transport, .. } => Some(*transport),
            _ => None,
        });
        if items.is_empty() {
            items.extend(
                self.supported.iter().map(|t| Item::Srv { transport: *t, name: service(*t, domain) }),
            );
        }
        if let Some(transport) = first.or_else(|| default_transport(&self.supported)) {
            items.push(Item::Fallback { transport, domain: domain.to_owned() });
        }
        items
    }
}

/// The transport of a SIP URI that names none: UDP where we have it (RFC 3263 §4.1).
fn default_transport(supported: &[Transport]) -> Option<Transport> {
    supported.iter().copied().find(|t| *t == Transport::Udp).or_else(|| supported.first().copied())
}

/// The transport of a NAPTR service (RFC 3263 §4.1): those of `SIPS` are for `sip:` URIs too, and for `sips:` alone.
fn transport_of(service: &str, is_sips: bool) -> Option<Transport> {
    let plain = [("SIP+D2U", Transport::Udp), ("SIP+D2T", Transport::Tcp)].into_iter().filter(|_| !is_sips);
    plain
        .chain([("SIPS+D2T", Transport::Tls)])
        .find(|(name, _)| name.eq_ignore_ascii_case(service))
        .map(|(_, transport)| transport)
}

/// The SRV name of a transport at a domain (RFC 3263 §4.1).
fn service(transport: Transport, domain: &str) -> String {
    match transport {
        Transport::Tls => format!("_sips._tcp.{domain}"),
        other => format!("_sip._{}.{domain}", other.name()),
    }
}

/// A host that is an address, IPv6 with or without brackets.
fn numeric(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Whether an address can be one peer's (security row 49): no broadcast, no multicast, not unspecified.
pub(crate) fn is_somebodys(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    address.port() != 0 && !broadcast && !ip.is_multicast() && !ip.is_unspecified()
}

/// SRV records in the order to try them: by priority, and within one by chance in proportion to weight (RFC 2782).
fn ordered(mut records: Vec<SrvRecord>, rng: &mut Rng) -> Vec<SrvRecord> {
    // Why: sorted first, so that the result depends on the seed and not on the order DNS gave. Weight 0 comes first
    // within a priority, as RFC 2782 wants.
    records.sort_by(|a, b| {
        (a.priority, a.weight, &a.target, a.port).cmp(&(b.priority, b.weight, &b.target, b.port))
    });
    records.truncate(limits::DNS_RECORDS_MAX);
    let mut out = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|r| r.priority) {
        let group = records.iter().take_while(|r| r.priority == priority);
        let total: u64 = group.map(|r| u64::from(r.weight)).sum();
        let pick = rng.below(total + 1);
        let mut sum = 0;
        let chosen = records
            .iter()
            .position(|r| {
                sum += u64::from(r.weight);
                sum >= pick
            })
            .unwrap_or(0);
        out.push(records.remove(chosen));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use Transport::{Tcp, Tls, Udp};

    fn wanted(host: &str, port: Option<u16>, transport: Option<Transport>) -> Wanted {
        let name = host.trim_start_matches('[').trim_end_matches(']').into();
        Wanted { host: host.to_owned(), port, transport, is_sips: false, name }
    }

    fn sips(host: &str, port: Option<u16>, transport: Option<Transport>) -> Wanted {
        Wanted { is_sips: true, ..wanted(host, port, transport) }
    }

    fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> NaptrRecord {
        let [flags, service, replacement] = ["s", service, replacement].map(str::to_owned);
        NaptrRecord { order, preference, flags, service, replacement }
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> SrvRecord {
        SrvRecord { priority, weight, port, target: target.to_owned() }
    }

    /// A zone: question as text -> answer.
    type Zone = Vec<(&'static str, DnsAnswer)>;

    fn ips(list: &[&str]) -> DnsAnswer {
        DnsAnswer::Address(list.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    /// Everything that is asked and tried when every try fails, as text.
    fn walk(target: Target, zone: &Zone, seed: u8) -> Vec<String> {
        let mut log = Vec::new();
        let mut rng = Rng::new([seed; 32]);
        let mut lookup = match target {
            Target::Immediate(hop) => return vec![format!("{} {}", hop.transport, hop.address)],
            Target::Unreachable => return vec!["unreachable".to_owned()],
            Target::Lookup(lookup) => lookup,
        };
        loop {
            match lookup.step() {
                Next::Try(hop) => log.push(format!("{} {}", hop.transport, hop.address)),
                Next::Exhausted => return log,
                Next::Ask(question) => {
                    let (kind, name) = match &question {
                        DnsQuestion::Naptr(name) => ("NAPTR", name),
                        DnsQuestion::Srv(name) => ("SRV", name),
                        DnsQuestion::Address(name) => ("A", name),
                    };
                    let text = format!("{kind} {name}");
                    let answer = zone.iter().find(|(q, _)| *q == text).map(|(_, a)| a.clone());
                    let none = match question {
                        DnsQuestion::Naptr(_) => DnsAnswer::Naptr(vec![]),
                        DnsQuestion::Srv(_) => DnsAnswer::Srv(vec![]),
                        DnsQuestion::Address(_) => DnsAnswer::Address(vec![]),
                    };
                    log.push(text);
                    lookup.on_answer(answer.unwrap_or(none), &mut rng);
                }
            }
        }
    }

    const BOTH: &[Transport] = &[Udp, Tcp];
    const ALL: &[Transport] = &[Udp, Tcp, Tls];

    #[test]
    fn rfc3263_4_1_sips_is_looked_up_and_tried_over_tls_alone() {
        let zone: Zone = vec![
            (
                "NAPTR example.com",
                DnsAnswer::Naptr(vec![
                    naptr(10, 50, "SIP+D2U", "_sip._udp.example.com"),
                    naptr(20, 50, "SIP+D2T", "_sip._tcp.example.com"),
                    naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
                ]),
            ),
            ("SRV _sips._tcp.example.com", DnsAnswer::Srv(vec![srv(1, 0, 5071, "a.example.com")])),
            ("SRV _sip._udp.example.com", DnsAnswer::Srv(vec![srv(1, 0, 5060, "a.example.com")])),
            ("A a.example.com", ips(&["192.0.2.1"])),
            ("A example.com", ips(&["192.0.2.9"])),
        ];
        let want =
            ["NAPTR example.com", "SRV _sips._tcp.example.com", "A a.example.com", "tls 192.0.2.1:5071"];
        assert_eq!(walk(locate(&sips("example.com", None, None), ALL), &zone, 1), want);
        // The same records serve sip: in their order, TLS among them.
        let log = walk(locate(&wanted("example.com", None, None), ALL), &zone, 1);
        let tried: Vec<_> = log.iter().filter(|line| line.contains(':')).collect();
        assert_eq!(tried, ["udp 192.0.2.1:5060", "tls 192.0.2.1:5071"]);
        // Without records: the domain, at the port of TLS.
        let bare: Zone = vec![("A example.com", ips(&["192.0.2.9"]))];
        let want = ["NAPTR example.com", "SRV _sips._tcp.example.com", "A example.com", "tls 192.0.2.9:5061"];
        assert_eq!(walk(locate(&sips("example.com", None, None), ALL), &bare, 1), want);
        // Whom the certificate must be for is what was asked for, not where DNS led.
        let Target::Lookup(mut lookup) = locate(&sips("example.com", Some(5061), None), ALL) else {
            panic!()
        };
        assert!(matches!(lookup.step(), Next::Ask(_)));
        lookup.on_answer(ips(&["192.0.2.1"]), &mut Rng::new([1; 32]));
        assert!(matches!(lookup.step(), Next::Try(hop) if &*hop.name == "example.com"));
    }

    #[test]
    fn rfc3263_4_numeric_hosts_need_no_dns() {
        let rows = [
            (wanted("192.0.2.1", None, None), BOTH, "udp 192.0.2.1:5060"),
            (wanted("192.0.2.1", Some(5080), None), BOTH, "udp 192.0.2.1:5080"),
            (wanted("192.0.2.1", None, Some(Tcp)), BOTH, "tcp 192.0.2.1:5060"),
            (wanted("[2001:db8::1]", Some(5070), Some(Tcp)), BOTH, "tcp [2001:db8::1]:5070"),
            (wanted("2001:db8::1", None, None), BOTH, "udp [2001:db8::1]:5060"),
            (wanted("192.0.2.1", None, None), &[Tcp], "tcp 192.0.2.1:5060"),
            (wanted("192.0.2.1", None, Some(Tcp)), &[Udp], "unreachable"),
            (wanted("192.0.2.1", None, None), &[], "unreachable"),
            (wanted("255.255.255.255", None, None), BOTH, "unreachable"),
            (wanted("224.0.1.75", None, None), BOTH, "unreachable"),
            (wanted("0.0.0.0", None, None), BOTH, "unreachable"),
            (wanted("::", None, None), BOTH, "unreachable"),
            (wanted("[::ffff:224.0.1.75]", None, None), BOTH, "unreachable"),
            (wanted("192.0.2.1", Some(0), None), BOTH, "unreachable"),
            (wanted("", None, None), BOTH, "unreachable"),
            (wanted("192.0.2.1", None, Some(Tls)), ALL, "tls 192.0.2.1:5061"),
            (wanted("192.0.2.1", None, None), ALL, "udp 192.0.2.1:5060"),
            (sips("192.0.2.1", None, None), ALL, "tls 192.0.2.1:5061"),
            (sips("[2001:db8::1]", Some(5070), Some(Tls)), ALL, "tls [2001:db8::1]:5070"),
            (sips("192.0.2.1", None, None), BOTH, "unreachable"),
        ];
        for (wanted, supported, want) in rows {
            assert_eq!(walk(locate(&wanted, supported), &vec![], 1), [want], "{wanted:?}");
        }
    }

    #[test]
    fn what_a_uri_names() {
        for (uri, want) in [
            ("sip:a@example.com", Some(wanted("example.com", None, None))),
            ("sip:a@192.0.2.1:5070;transport=TCP", Some(wanted("192.0.2.1", Some(5070), Some(Tcp)))),
            ("sip:[2001:db8::1];transport=udp;lr", Some(wanted("[2001:db8::1]", None, Some(Udp)))),
            (
                "sip:a@example.com;maddr=192.0.2.7",
                Some(Wanted { name: "example.com".into(), ..wanted("192.0.2.7", None, None) }),
            ),
            ("sip:a@example.com;transport=tls", Some(wanted("example.com", None, Some(Tls)))),
            ("sips:a@example.com", Some(sips("example.com", None, None))),
            ("sips:a@example.com;transport=tcp", Some(sips("example.com", None, Some(Tls)))),
            ("sips:a@example.com;transport=udp", None),
            ("sip:a@192.0.2.9;transport=ws", None),
            ("sips:a@192.0.2.9;transport=ws", None),
            ("sip:a@x7.Invalid", None),
            ("sip:a@example.com;transport=sctp", None),
            ("tel:+15551234", None),
            ("mailto:a@example.com", None),
        ] {
            assert_eq!(Wanted::of(&Uri::parse(uri).unwrap()), want, "{uri}");
        }
    }

    #[test]
    fn rfc3263_4_names() {
        let hosts = || {
            vec![
                ("A a.example.com", ips(&["192.0.2.1", "2001:db8::1"])),
                ("A b.example.com", ips(&["192.0.2.2"])),
                ("A example.com", ips(&["192.0.2.9"])),
            ]
        };
        let with = |more: Zone| hosts().into_iter().chain(more).collect::<Zone>();
        let udp_srv = ("SRV _sip._udp.example.com", DnsAnswer::Srv(vec![srv(1, 0, 5061, "a.example.com.")]));
        let tcp_srv = (
            "SRV _sip._tcp.example.com",
            DnsAnswer::Srv(vec![srv(20, 0, 5060, "a.example.com"), srv(10, 0, 5070, "B.example.com")]),
        );
        let records = vec![
            naptr(100, 50, "SIP+D2U", "_sip._udp.example.com."),
            naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com."),
            naptr(90, 50, "sip+d2t", "_SIP._tcp.example.com"),
            naptr(90, 10, "E2U+sip", "x"),
        ];
        type Row = (&'static str, Wanted, Zone, &'static [&'static str]);
        let rows: Vec<Row> = vec![
            (
                "explicit port: addresses only",
                wanted("a.example.com", Some(5080), None),
                with(vec![]),
                &["A a.example.com", "udp 192.0.2.1:5080", "udp [2001:db8::1]:5080"],
            ),
            (
                "explicit port and transport",
                wanted("b.example.com.", Some(5060), Some(Tcp)),
                with(vec![]),
                &["A b.example.com", "tcp 192.0.2.2:5060"],
            ),
            (
                "transport: its SRV",
                wanted("Example.com", None, Some(Tcp)),
                with(vec![tcp_srv.clone()]),
                &[
                    "SRV _sip._tcp.example.com",
                    "A b.example.com",
                    "tcp 192.0.2.2:5070",
                    "A a.example.com",
                    "tcp 192.0.2.1:5060",
                    "tcp [2001:db8::1]:5060",
                ],
            ),
            (
                "transport without SRV: the domain",
                wanted("example.com", None, Some(Tcp)),
                with(vec![]),
                &["SRV _sip._tcp.example.com", "A example.com", "tcp 192.0.2.9:5060"],
            ),
            (
                "NAPTR by order, what we cannot do left out",
                wanted("example.com", None, None),
                with(vec![("NAPTR example.com", DnsAnswer::Naptr(records)), udp_srv.clone(), tcp_srv]),
                &[
                    "NAPTR example.com",
                    "SRV _sip._tcp.example.com",
                    "A b.example.com",
                    "tcp 192.0.2.2:5070",
                    "A a.example.com",
                    "tcp 192.0.2.1:5060",
                    "tcp [2001:db8::1]:5060",
                    "SRV _sip._udp.example.com",
                    "A a.example.com",
                    "udp 192.0.2.1:5061",
                    "udp [2001:db8::1]:5061",
                ],
            ),
            (
                "no NAPTR: SRV of every transport of ours",
                wanted("example.com", None, None),
                with(vec![udp_srv]),
                &[
                    "NAPTR example.com",
                    "SRV _sip._udp.example.com",
                    "A a.example.com",
                    "udp 192.0.2.1:5061",
                    "udp [2001:db8::1]:5061",
                    "SRV _sip._tcp.example.com",
                ],
            ),
            (
                "nothing but an address",
                wanted("example.com", None, None),
                with(vec![("NAPTR example.com", DnsAnswer::Failed)]),
                &[
                    "NAPTR example.com",
                    "SRV _sip._udp.example.com",
                    "SRV _sip._tcp.example.com",
                    "A example.com",
                    "udp 192.0.2.9:5060",
                ],
            ),
            (
                "DNS is down",
                wanted("example.com", None, None),
                vec![
                    ("NAPTR example.com", DnsAnswer::Failed),
                    ("SRV _sip._udp.example.com", DnsAnswer::Failed),
                    ("SRV _sip._tcp.example.com", DnsAnswer::Failed),
                    ("A example.com", DnsAnswer::Failed),
                ],
                &[
                    "NAPTR example.com",
                    "SRV _sip._udp.example.com",
                    "SRV _sip._tcp.example.com",
                    "A example.com",
                ],
            ),
            (
                "decidedly not there",
                wanted("example.com", None, Some(Udp)),
                with(vec![("SRV _sip._udp.example.com", DnsAnswer::Srv(vec![srv(0, 0, 0, ".")]))]),
                &["SRV _sip._udp.example.com"],
            ),
            (
                "nobody's addresses are skipped",
                wanted("c.example.com", Some(5060), None),
                vec![("A c.example.com", ips(&["0.0.0.0", "239.1.1.1", "192.0.2.3"]))],
                &["A c.example.com", "udp 192.0.2.3:5060"],
            ),
        ];
        for (name, wanted, zone, want) in rows {
            assert_eq!(walk(locate(&wanted, BOTH), &zone, 1), want, "{name}");
        }
    }

    #[test]
    fn rfc2782_weights_share_the_load_and_follow_the_seed() {
        let records = || vec![srv(0, 1, 1, "a"), srv(0, 3, 2, "b"), srv(0, 0, 3, "c"), srv(9, 0, 4, "d")];
        let order = |seed: u8, records| {
            let mut rng = Rng::new([seed; 32]);
            ordered(records, &mut rng).into_iter().map(|r| r.target).collect::<String>()
        };
        let mut first = [0; 3];
        for seed in 0..=255 {
            let text = order(seed, records());
            assert_eq!(text, order(seed, records().into_iter().rev().collect()), "seed {seed}");
            assert!(text.len() == 4 && text.ends_with('d'), "priority first: {text}");
            first[usize::from(text.as_bytes()[0] - b'a')] += 1;
        }
        // Expected of 256 with draws 0..=4: c takes 0, a takes 1, b takes 2..=4.
        assert!(first[1] > 110 && (25..90).contains(&first[0]) && (25..90).contains(&first[2]), "{first:?}");
    }

    #[test]
    fn a_hostile_zone_ends() {
        let many = (0..500u16).map(|n| srv(n, 0, 5060, &format!("h{n}.example.com"))).collect();
        let flood = ips(&vec!["192.0.2.1"; 500]);
        let mut rng = Rng::new([1; 32]);
        let Target::Lookup(mut lookup) = locate(&wanted("example.com", None, Some(Udp)), BOTH) else {
            panic!()
        };
        let (mut asked, mut tried) = (0, 0);
        let mut many = Some(DnsAnswer::Srv(many));
        loop {
            match lookup.step() {
                Next::Ask(_) => {
                    asked += 1;
                    let empty = asked % 2 == 0;
                    let answer = if empty { DnsAnswer::Failed } else { flood.clone() };
                    lookup.on_answer(many.take().unwrap_or(answer), &mut rng);
                }
                Next::Try(_) => tried += 1,
                Next::Exhausted => break,
            }
        }
        assert!(
            asked <= limits::TARGET_QUESTIONS_MAX && tried <= limits::TARGET_TRIES_MAX,
            "{asked} {tried}"
        );
        assert_eq!(lookup.step(), Next::Exhausted);
    }
}
