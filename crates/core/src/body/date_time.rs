//! `xs:dateTime`: when something was said, and from when until when it holds.
//!
//! In: the text of an attribute or element. Out: a [`DateTime`] that keeps the text and knows the moment. It does not
//! compute with time zones by name, and has no calendar beyond the Gregorian one.

use crate::time::UnixTime;

/// An `xs:dateTime` as it was written; only well-formed ones exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateTime(String);

impl DateTime {
    /// The date and time `text`, or `None` where it is none. Years have four digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let date = text.get(..10)?;
        let time = text.get(10..)?.strip_prefix('T')?;
        let (clock, rest) = (time.get(..8)?, time.get(8..)?);
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        let fraction = rest.strip_prefix('.').map(|f| f.trim_start_matches(|c: char| c.is_ascii_digit()));
        let zone = match fraction {
            Some(zone) if rest.len() < zone.len() + 2 => return None,
            Some(zone) => zone,
            None => rest,
        };
        let zone_holds = zone.is_empty()
            || zone == "Z"
            || zone
                .strip_prefix(['+', '-'])
                .and_then(|zone| numbers(zone, ':', [2, 2]))
                .is_some_and(|[hours, minutes]| hours < 14 && minutes < 60 || hours == 14 && minutes == 0);
        let holds =
            year > 0 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60 && zone_holds;
        holds.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The moment it names, in whole seconds; one without a time zone is taken as UTC, one before 1970 as its start.
    pub fn unix(&self) -> UnixTime {
        let (date, clock) = (self.0.get(..10).unwrap_or(""), self.0.get(11..19).unwrap_or(""));
        let [year, month, day] = numbers(date, '-', [4, 2, 2]).unwrap_or([1970, 1, 1]);
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2]).unwrap_or_default();
        let rest = self.0.get(19..).unwrap_or("");
        let offset_at = rest.find(['+', '-']);
        let offset = offset_at.and_then(|at| numbers(rest.get(at + 1..)?, ':', [2, 2]));
        let ahead = offset.map_or(0, |[hours, minutes]| i64::from(hours * 60 + minutes) * 60);
        let ahead = if rest.contains('-') { -ahead } else { ahead };
        let of_day = i64::from(hour * 3600 + minute * 60 + second);
        let seconds = days_from_civil(year, month, day) * 86_400 + of_day - ahead;
        UnixTime::from_millis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
    }
}

/// The numbers of `text`, each of exactly so many digits, separated by `separator`.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[u32; N]> {
    let mut fields = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let field = fields.next()?;
        if field.len() != digits || !field.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = field.parse().ok()?;
    }
    fields.next().is_none().then_some(numbers)
}

/// Days from the epoch to a day of the Gregorian calendar; negative before it.
fn days_from_civil(year: u32, month: u32, day: u32) -> i64 {
    // Why: with the year beginning in March, the leap day is its last.
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_of = (i64::from(month) + 9) % 12;
    let day_of = (153 * month_of + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_and_time_as_xml_schema_has_them() {
        let right = [
            "2026-11-21T08:03:48Z",
            "2026-11-21T08:03:48",
            "2024-02-29T23:59:59.123456+14:00",
            " 2026-01-01T00:00:00-05:30 ",
        ];
        let wrong = [
            "",
            "2026-11-21",
            "2026-11-21 08:03:48Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:01Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+15:00",
            "2026-01-01T00:00:00ZZ",
            "\u{e9}2026-01-01T00:00:00",
            "0000-01-01T00:00:00Z",
        ];
        assert!(right.iter().all(|text| DateTime::parse(text).is_some_and(|d| d.as_str() == text.trim())));
        let taken: Vec<_> = wrong.iter().filter(|text| DateTime::parse(text).is_some()).collect();
        assert!(taken.is_empty(), "{taken:?}");
    }

    #[test]
    fn the_moment_is_the_same_in_every_zone() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", 0),
            ("2000-02-29T00:00:00", 951_782_400),
            ("2026-11-21T09:15:33.999Z", 1_795_252_533),
            ("2026-11-21T14:45:33+05:30", 1_795_252_533),
            ("2026-11-20T19:15:33.5-14:00", 1_795_252_533),
            ("2100-02-28T23:59:59Z", 4_107_542_399),
        ] {
            assert_eq!(DateTime::parse(text).map(|at| at.unix().as_secs()), Some(seconds), "{text}");
        }
    }
}
