//! Values of Asterisk's files: booleans, numbers, networks, caller ids.
//!
//! In: one entry. Out: its value, or an error in the report and `None`.

use super::ini::Entry;
use crate::config::diagnostic::Report;
use crate::config::source::Typed;
use ipnet::IpNet;
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// `yes` or `no` in Asterisk's spellings.
pub(crate) fn truth(text: &str) -> Option<bool> {
    let among = |words: [&str; 6]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if among(["yes", "true", "y", "t", "1", "on"]) {
        Some(true)
    } else if among(["no", "false", "n", "f", "0", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// A boolean.
pub(crate) fn boolean(report: &mut Report, entry: &Entry) -> Option<Typed<bool>> {
    let found = truth(&entry.value.value);
    if found.is_none() {
        let cause = format!("`{}` is yes or no, not `{}`", entry.key.value, entry.value.value);
        report.error(entry.value.span, cause, "write `yes` or `no`");
    }
    found.map(|value| Typed::new(value, entry.value.span))
}

/// A whole number in a range.
pub(crate) fn number<T>(report: &mut Report, entry: &Entry, range: RangeInclusive<T>) -> Option<Typed<T>>
where
    T: FromStr + PartialOrd + Display,
{
    match entry.value.value.parse::<T>() {
        Ok(value) if range.contains(&value) => Some(Typed::new(value, entry.value.span)),
        _ => {
            let cause = format!(
                "`{}` is a whole number from {} to {}, not `{}`",
                entry.key.value,
                range.start(),
                range.end(),
                entry.value.value
            );
            report.error(entry.value.span, cause, "write a number in this range");
            None
        }
    }
}

/// The name of something; empty counts as not given.
pub(crate) fn name(entry: &Entry) -> Option<Typed<String>> {
    (!entry.value.value.is_empty()).then(|| entry.value.clone())
}

/// One of several words.
pub(crate) fn choice<T: Copy>(report: &mut Report, entry: &Entry, words: &[(&str, T)]) -> Option<Typed<T>> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&entry.value.value));
    if found.is_none() {
        let known: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let cause = format!("`{}` cannot be `{}`", entry.key.value, entry.value.value);
        report.error(entry.value.span, cause, format!("write one of {}", known.join(", ")));
    }
    found.map(|(_, value)| Typed::new(*value, entry.value.span))
}

/// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, or one address.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let (address, mask) =
        text.split_once('/').map_or((text, None), |(address, mask)| (address.trim(), Some(mask.trim())));
    let address: IpAddr = address.parse().ok()?;
    let Some(mask) = mask else { return Some(address.into()) };
    match mask.parse::<u8>() {
        Ok(bits) => IpNet::new(address, bits).ok(),
        Err(_) => IpNet::with_netmask(address, mask.parse().ok()?).ok(),
    }
}

/// The networks of `permit=`, `deny=` and `localnet=`: separated by commas, `!` turns one round.
pub(crate) fn networks(report: &mut Report, entry: &Entry) -> Vec<(bool, IpNet)> {
    let mut found = Vec::new();
    for part in entry.value.value.split(',').map(str::trim) {
        let (plain, text) = part.strip_prefix('!').map_or((true, part), |rest| (false, rest.trim()));
        match network(text) {
            Some(network) => found.push((plain, network)),
            None => {
                let cause = format!("`{part}` is no network");
                report.error(entry.value.span, cause, "write it as `10.0.0.0/8` or `10.0.0.0/255.0.0.0`");
            }
        }
    }
    found
}

/// The name part of a caller id: `"Bob" <6001>`, `Bob <6001>`, `Bob`; a number alone has none.
pub(crate) fn caller_name(text: &str) -> String {
    let name = text.split_once('<').map_or(text, |(name, _)| name).trim().trim_matches('"').trim();
    let is_number = !name.is_empty() && name.chars().all(|c| c.is_ascii_digit() || "+*#-() ".contains(c));
    if is_number || text.trim_start().starts_with('<') { String::new() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_in_all_spellings() {
        let rows = [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.0.0.0/255.255.0.0", Some("10.0.0.0/16")),
            ("0.0.0.0/0.0.0.0", Some("0.0.0.0/0")),
            ("192.0.2.1", Some("192.0.2.1/32")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("10.0.0.0/33", None),
            ("10.0.0.0/255.0.255.0", None),
            ("lan", None),
        ];
        for (text, expected) in rows {
            assert_eq!(network(text).map(|found| found.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_name_of_a_caller_id_is_found() {
        let rows = [
            ("\"Bob B\" <6001>", "Bob B"),
            ("Bob <6001>", "Bob"),
            ("Bob", "Bob"),
            ("6001", ""),
            ("<6001>", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(caller_name(text), expected, "{text}");
        }
    }
}
