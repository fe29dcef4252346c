//! Spans of time as people write and read them: `10m`, `1h30m`, `90`.

/// How a span is printed: its two largest units.
pub(crate) fn show(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m{s:02}s"),
        (0, _, _) => format!("{h}h{m:02}m"),
        _ => format!("{d}d{h:02}h"),
    }
}

/// Seconds meant by `90`, `90s`, `10m`, `1h30m` or `2d`; at least one.
///
/// # Errors
/// What is wrong and what would be right, for people.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a span of time; write seconds, or as in 90s, 10m, 1h30m, 2d");
    let mut total = 0_u64;
    let mut number: Option<u64> = None;
    for c in text.trim().chars() {
        if let Some(digit) = c.to_digit(10) {
            let next = number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(u64::from(digit)));
            number = Some(next.ok_or_else(wrong)?);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            _ => return Err(wrong()),
        };
        let part = number.take().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
    }
    total = total.checked_add(number.unwrap_or(0)).ok_or_else(wrong)?;
    if total == 0 { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print() {
        let rows = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (3599, "59m59s"),
            (3600, "1h00m"),
            (90061, "1d01h"),
            (864000, "10d00h"),
        ];
        for (seconds, text) in rows {
            assert_eq!(show(seconds), text);
        }
    }

    #[test]
    fn spans_parse() {
        let rows = [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("2D", Some(172_800)),
            ("", None),
            ("0", None),
            ("m", None),
            ("10x", None),
            ("-5s", None),
            ("99999999999999999999", None),
            ("9999999999999999999d", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(parse(text).ok(), seconds, "{text:?}");
        }
    }
}
