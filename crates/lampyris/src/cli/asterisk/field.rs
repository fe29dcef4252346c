//! Fixed-width fields, as Asterisk's layouts are made of them.

use crate::cli::text;

/// Left-aligned, cut at `width` characters.
pub(super) fn left(value: &str, width: usize) -> String {
    let cut: String = text::line(value).chars().take(width).collect();
    format!("{cut:<width$}")
}

/// Right-aligned, never cut.
pub(super) fn right(value: &str, width: usize) -> String {
    let value = text::line(value);
    format!("{value:>width$}")
}

/// `s` unless there is exactly one.
pub(super) const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The address without its port: `10.0.0.7:5060` is `10.0.0.7`.
pub(super) fn host(address: &str) -> String {
    address
        .parse::<std::net::SocketAddr>()
        .map_or_else(|_| text::line(address), |address| address.ip().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_and_filled() {
        assert_eq!(left("abc", 5), "abc  ");
        assert_eq!(left("abcdef", 5), "abcde");
        assert_eq!(left("a\u{1b}c", 4), "ac  ");
        assert_eq!(right("abc", 5), "  abc");
        assert_eq!(right("abcdef", 5), "abcdef");
    }

    #[test]
    fn ports_are_dropped() {
        for (from, to) in [("10.0.0.7:5060", "10.0.0.7"), ("[::1]:5060", "::1"), ("-", "-")] {
            assert_eq!(host(from), to);
        }
    }
}
