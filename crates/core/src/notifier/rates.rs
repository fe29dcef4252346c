//! The parameters `max-rate`, `min-rate` and `adaptive-min-rate` of Event and Subscription-State (RFC 6446 §9).
//!
//! In: parameters as they came. Out: rates as exact numbers, adjusted to each other and to our bounds, and their text. It
//! knows no subscription and no clock.

use crate::limits;
use lampyris_sip::Params;
use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// Units of a [`Rate`] in one per second: ten digits behind the point.
const UNITS: u64 = 10_000_000_000;

/// NOTIFYs per second, exactly as RFC 6446 §9.2 can write them: in units of 10^-10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rate(NonZeroU64);

impl Rate {
    /// So many per second, one at least.
    pub(crate) fn per_second(rate: u32) -> Self {
        Self(NonZeroU64::new(u64::from(rate.max(1)) * UNITS).unwrap_or(NonZeroU64::MIN))
    }

    /// The slowest rate that has one NOTIFY in this time.
    fn once_in(seconds: u32) -> Self {
        Self(NonZeroU64::new(UNITS.div_ceil(u64::from(seconds.max(1)))).unwrap_or(NonZeroU64::MIN))
    }

    /// The time between two NOTIFYs.
    pub(crate) fn interval(self) -> Duration {
        let micros = u128::from(UNITS) * 1_000_000 / u128::from(self.0.get());
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// `1*2DIGIT ["." 1*10DIGIT]`; zero is no rate (RFC 6446 §5.1).
    fn parse(value: &str) -> Option<Self> {
        let (whole, fraction) = value.split_once('.').map_or((value, None), |(w, f)| (w, Some(f)));
        let digits = |text: &str, most| {
            let fits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let mut units = digits(whole, 2)? * UNITS;
        if let Some(fraction) = fraction {
            let scale = 10_u64.checked_pow(u32::try_from(10_usize.checked_sub(fraction.len())?).ok()?)?;
            units += digits(fraction, 10)? * scale;
        }
        NonZeroU64::new(units).map(Self)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0.get() / UNITS, self.0.get() % UNITS);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:010}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// The rates of a subscription; it displays as parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    /// Never more often.
    pub(crate) max: Option<Rate>,
    /// Never less often.
    pub(crate) min: Option<Rate>,
    /// Not less often on average.
    pub(crate) adaptive: Option<Rate>,
}

const MAX: &str = "max-rate";
const MIN: &str = "min-rate";
const ADAPTIVE: &str = "adaptive-min-rate";

impl Rates {
    /// Reads the parameters.
    ///
    /// # Errors
    /// What is malformed.
    pub(crate) fn read(params: Params<'_>) -> Result<Self, &'static str> {
        let rate = |name, malformed| match params.get(name) {
            None if params.has(name) => Err(malformed),
            None => Ok(None),
            Some(value) => Rate::parse(value).map(Some).ok_or(malformed),
        };
        Ok(Self {
            max: rate(MAX, "malformed max-rate")?,
            min: rate(MIN, "malformed min-rate")?,
            adaptive: rate(ADAPTIVE, "malformed adaptive-min-rate")?,
        })
    }

    /// What is made of rates asked for: within our own rate, the life of the subscription and each other.
    pub(crate) fn adopted(self, local: Rate, expires_s: u32) -> Self {
        // RFC 6446 §5.3: slower than once in the subscription's life would be never.
        let max = self.max.map(|max| max.max(Rate::once_in(expires_s)).min(local));
        // RFC 6446 §8: the others are not above it.
        let bound = max.unwrap_or(local).min(Rate::per_second(limits::NOTIFY_MIN_RATE_MAX));
        let adaptive = self.adaptive.map(|rate| rate.min(bound));
        // RFC 6446 §8: a minimum that is not below the adaptive one is not considered.
        let min = self.min.map(|rate| rate.min(bound));
        let min = min.filter(|min| adaptive.is_none_or(|adaptive| *min < adaptive));
        Self { max, min, adaptive }
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, rate) in [(MAX, self.max), (MIN, self.min), (ADAPTIVE, self.adaptive)] {
            if let Some(rate) = rate {
                write!(f, ";{name}={rate}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6446_9_2_values() {
        for (value, text, millis) in [
            ("1", "1", 1000),
            ("0.5", "0.5", 2000),
            ("00.2500000000", "0.25", 4000),
            ("10", "10", 100),
            ("99.9999999999", "99.9999999999", 10),
            ("0.0000000001", "0.0000000001", 10_000_000_000_000),
        ] {
            let rate = Rate::parse(value).unwrap();
            assert_eq!((rate.to_string().as_str(), rate.interval().as_millis()), (text, millis), "{value}");
        }
        for value in
            ["", "0", "0.0", "100", "1.", ".5", "-1", "+1", "1e3", "1.00000000001", "\"1\"", "1,5", "٣"]
        {
            assert_eq!(Rate::parse(value), None, "{value}");
        }
    }

    #[test]
    fn rfc6446_5_3_and_8_what_is_adopted() {
        for (asked, expires_s, adopted) in [
            ("", 3600, ""),
            (";max-rate=0.2", 3600, ";max-rate=0.2"),
            // Above our own rate.
            (";max-rate=50", 3600, ";max-rate=10"),
            // Slower than once in its life.
            (";max-rate=0.0000000001", 3600, ";max-rate=0.0002777778"),
            (";max-rate=0.0000000001;min-rate=1", 100, ";max-rate=0.01;min-rate=0.01"),
            (";min-rate=99", 3600, ";min-rate=1"),
            (";max-rate=0.5;adaptive-min-rate=0.9", 3600, ";max-rate=0.5;adaptive-min-rate=0.5"),
            (";min-rate=0.1;adaptive-min-rate=0.2", 3600, ";min-rate=0.1;adaptive-min-rate=0.2"),
            (";min-rate=0.2;adaptive-min-rate=0.2", 3600, ";adaptive-min-rate=0.2"),
            (";MIN-RATE=0.3;adaptive-min-rate=0.2", 3600, ";adaptive-min-rate=0.2"),
        ] {
            let rates = Rates::read(Params::new(asked)).unwrap().adopted(Rate::per_second(10), expires_s);
            assert_eq!(rates.to_string(), adopted, "{asked}");
            assert_eq!(Rates::read(Params::new(adopted)), Ok(rates));
        }
        for params in [";max-rate", ";max-rate=", ";min-rate=0", ";adaptive-min-rate=x"] {
            assert!(Rates::read(Params::new(params)).is_err(), "{params}");
        }
    }
}
