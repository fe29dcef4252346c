//! What DNS has in a scenario: a line for each record, as in `host.example A 192.0.2.1`.

use lampyris_core::input::{DnsAnswer, DnsQuestion, NaptrRecord, SrvRecord};
use std::net::IpAddr;

/// Records by lower-case name, or no DNS at all.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    records: Vec<(String, Data)>,
    down: bool,
}

#[derive(Clone, Debug)]
enum Data {
    Address(IpAddr),
    Srv(SrvRecord),
    Naptr(NaptrRecord),
}

impl Zone {
    /// No server answers.
    pub fn down() -> Self {
        Self { records: Vec::new(), down: true }
    }

    /// Reads records: `NAME A ADDRESS` (or AAAA), `NAME SRV PRIORITY WEIGHT PORT TARGET`,
    /// `NAME NAPTR ORDER PREFERENCE FLAGS SERVICE REPLACEMENT`.
    pub fn parse(text: &str) -> Option<Self> {
        let records = text.lines().map(record).collect::<Option<_>>()?;
        Some(Self { records, down: false })
    }

    /// What it says to a question.
    pub fn answer(&self, question: &DnsQuestion) -> DnsAnswer {
        if self.down {
            return DnsAnswer::Failed;
        }
        let found = |name: &str| {
            let name = name.to_ascii_lowercase();
            self.records.iter().filter(move |(owner, _)| *owner == name).map(|(_, data)| data.clone())
        };
        match question {
            DnsQuestion::Address(name) => DnsAnswer::Address(
                found(name).filter_map(|d| if let Data::Address(ip) = d { Some(ip) } else { None }).collect(),
            ),
            DnsQuestion::Srv(name) => DnsAnswer::Srv(
                found(name).filter_map(|d| if let Data::Srv(srv) = d { Some(srv) } else { None }).collect(),
            ),
            DnsQuestion::Naptr(name) => DnsAnswer::Naptr(
                found(name).filter_map(|d| if let Data::Naptr(n) = d { Some(n) } else { None }).collect(),
            ),
        }
    }
}

fn record(line: &str) -> Option<(String, Data)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let own = |word: &str| word.to_owned();
    let data = match words.get(1..)? {
        ["A" | "AAAA", ip] => Data::Address(ip.parse().ok()?),
        ["SRV", priority, weight, port, target] => Data::Srv(SrvRecord {
            priority: priority.parse().ok()?,
            weight: weight.parse().ok()?,
            port: port.parse().ok()?,
            target: own(target),
        }),
        ["NAPTR", order, preference, flags, service, replacement] => Data::Naptr(NaptrRecord {
            order: order.parse().ok()?,
            preference: preference.parse().ok()?,
            flags: own(flags),
            service: own(service),
            replacement: own(replacement),
        }),
        _ => return None,
    };
    Some((words.first()?.to_ascii_lowercase(), data))
}
