//! Accept (RFC 3261 §20.1, RFC 2616 §14.1): which body formats a watcher can read.

use smallvec::SmallVec;

use super::contact::parse_q;
use crate::chars::{Commas, cut, skip_lws, token_end, trim};
use crate::error::HeaderError;
use crate::message::Message;
use crate::name::Name;
use crate::params::{Params, split_value};

/// One media range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaRange<'a> {
    /// Type, or `*`.
    pub kind: &'a str,
    /// Subtype, or `*`.
    pub subtype: &'a str,
    /// Quality in thousandths, 0 to 1000.
    pub q: u16,
    /// All parameters, `q` among them.
    pub params: Params<'a>,
}

impl<'a> MediaRange<'a> {
    /// Reads one value.
    ///
    /// # Errors
    /// 400.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        Self::read(value).ok_or(HeaderError("Accept"))
    }

    #[inline]
    fn read(value: &'a str) -> Option<Self> {
        let bytes = value.as_bytes();
        let start = skip_lws(bytes, 0);
        let end = token_end(bytes, start);
        let kind = value.get(start..end)?;
        let slash = skip_lws(bytes, end);
        if kind.is_empty() || bytes.get(slash) != Some(&b'/') {
            return None;
        }
        let start = skip_lws(bytes, slash + 1);
        let end = token_end(bytes, start);
        let subtype = value.get(start..end)?;
        let end = skip_lws(bytes, end);
        if subtype.is_empty() || !matches!(bytes.get(end), None | Some(b';')) {
            return None;
        }
        let params = Params::new(value.get(end..)?);
        let q = params.get("q").and_then(parse_q).unwrap_or(1000);
        Some(MediaRange { kind, subtype, q, params })
    }

    /// How specifically this range covers `type/subtype`: 3 for both, 2 for `type/*`, 1 for `*/*`, 0 for not at all.
    fn covers(&self, kind: &str, subtype: &str) -> u8 {
        match (self.kind, self.subtype) {
            ("*", "*") => 1,
            (own, "*") if same(own, kind) => 2,
            (own, sub) if same(own, kind) && same(sub, subtype) => 3,
            _ => 0,
        }
    }
}

/// Why: most are written alike, and then one block comparison does.
#[inline]
fn same(a: &str, b: &str) -> bool {
    a == b || a.eq_ignore_ascii_case(b)
}

/// True for `type/subtype` without parameters or white space: what covers itself at least, and with quality 1000.
#[inline]
fn is_bare(value: &str) -> bool {
    let bytes = value.as_bytes();
    let slash = token_end(bytes, 0);
    let end = token_end(bytes, slash + 1);
    slash > 0 && bytes.get(slash) == Some(&b'/') && end == bytes.len() && end > slash + 1
}

/// All media ranges of a request, read when they are asked about.
#[derive(Clone, Debug, Default)]
pub struct Accept<'a> {
    values: SmallVec<[&'a str; 4]>,
}

impl<'a> Accept<'a> {
    /// Takes values; malformed ones are skipped.
    pub fn from_values(values: impl Iterator<Item = &'a str>) -> Self {
        Accept { values: values.collect() }
    }

    /// How many media ranges there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The media ranges in order.
    pub fn ranges(&self) -> impl Iterator<Item = MediaRange<'a>> {
        self.values.iter().filter_map(|value| MediaRange::read(value))
    }

    /// The quality of a content type in thousandths; 0 means it is not acceptable.
    pub fn quality(&self, content_type: &str) -> u16 {
        // Why: most ask for one type, which is the one that is offered.
        match self.values.as_slice() {
            [value] if *value == content_type && is_bare(value) => 1000,
            _ => self.best_quality(content_type),
        }
    }

    fn best_quality(&self, content_type: &str) -> u16 {
        let (bare, _) = split_value(content_type);
        let Some((kind, subtype)) = cut(bare, b'/') else { return 0 };
        let (kind, subtype) = (trim(kind), trim(subtype));
        let mut best = (0, 0);
        for range in self.ranges() {
            let specific = range.covers(kind, subtype);
            if specific > best.0 {
                best = (specific, range.q);
            }
        }
        best.1
    }

    /// Whether `content_type` is named itself, not only by a range.
    pub fn names(&self, content_type: &str) -> bool {
        let named = |range: &MediaRange<'_>| {
            let name = content_type.split_once('/');
            name.is_some_and(|(kind, subtype)| {
                range.kind.eq_ignore_ascii_case(kind) && range.subtype.eq_ignore_ascii_case(subtype)
            })
        };
        self.ranges().any(|range| named(&range))
    }

    /// True if the content type is acceptable.
    pub fn accepts(&self, content_type: &str) -> bool {
        self.quality(content_type) > 0
    }

    /// The best of the offered content types: the highest quality, the earlier offer among equals.
    pub fn best<'o>(&self, offered: impl IntoIterator<Item = &'o str>) -> Option<&'o str> {
        let mut best: Option<(u16, &'o str)> = None;
        for offer in offered {
            let q = self.quality(offer);
            if q > 0 && best.is_none_or(|(other, _)| q > other) {
                best = Some((q, offer));
            }
        }
        best.map(|(_, offer)| offer)
    }
}

impl Message {
    /// The Accept header; `None` if there is no line of it (then the package's default format is acceptable). An
    /// empty one accepts nothing.
    pub fn accept(&self) -> Option<Accept<'_>> {
        if !self.has(Name::Accept) {
            return None;
        }
        let mut accept = Accept::default();
        match self.lone_header(Name::Accept) {
            Some(line) => accept.values.extend(Commas::new(line)),
            None => accept.values.extend(self.values(Name::Accept)),
        }
        Some(accept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        let value = "application/*;q=0.5, application/pidf+xml, text/plain;q=0, */*;q=0.1";
        let accept = Accept::from_values(Commas::new(value));
        for (offer, want) in [
            ("application/pidf+xml", 1000),
            ("Application/PIDF+xml;charset=utf-8", 1000),
            ("application/xpidf+xml", 500),
            ("text/plain", 0),
            ("image/png", 100),
            ("nonsense", 0),
        ] {
            assert_eq!(accept.quality(offer), want, "{offer}");
        }
        assert_eq!(
            accept.best(["text/plain", "application/xpidf+xml", "application/a"]),
            Some("application/xpidf+xml")
        );
        assert_eq!(accept.best(["text/plain"]), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_offered_alone_is_acceptable_as_the_general_way_finds(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                "application", "/", "/", "pidf+xml", "*", ";q=0.5", " ", "a", "é", ",", "a-type-longer-than-a-block",
            ]), 0..5),
        ) {
            let value = pieces.concat();
            let accept = Accept::from_values(std::iter::once(&*value));
            proptest::prop_assert_eq!(accept.quality(&value), accept.best_quality(&value));
            if is_bare(&value) {
                proptest::prop_assert_eq!(accept.quality(&value), 1000);
            }
        }
    }
}
