//! Time stamps as the log spells them: `2026-01-02T03:04:05.000006Z`, always 27 bytes.

/// Bytes of a time stamp.
pub(crate) const LENGTH: usize = 27;

/// Microseconds since 1970 now, by the wall clock (zero where it stands before 1970).
pub(crate) fn now_micros() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Appends the RFC 3339 spelling in UTC with six decimals.
pub(crate) fn push(out: &mut Vec<u8>, micros: u64) {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    digits(out, year, 4);
    for (separator, number, width) in
        [(b'-', month, 2), (b'-', day, 2), (b'T', second / 3600, 2), (b':', second / 60 % 60, 2), (b':', second % 60, 2)]
    {
        out.push(separator);
        digits(out, number, width);
    }
    out.push(b'.');
    digits(out, micros, 6);
    out.push(b'Z');
}

/// Reads exactly the spelling that [`push`] writes; a date that does not exist is `None`.
pub(crate) fn parse(text: &[u8]) -> Option<u64> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'.', ref fraction @ .., b'Z'] = text else {
        return None;
    };
    if text.len() != LENGTH {
        return None;
    }
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    if year < 1970 || !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(year, month, day);
    if civil(days) != (year, month, day) {
        return None;
    }
    Some((days * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000 + number(fraction)?)
}

fn digits(out: &mut Vec<u8>, number: u64, width: u32) {
    let digit = |place: u32| b'0' + u8::try_from(number / 10_u64.pow(place) % 10).unwrap_or(0);
    out.extend((0..width).rev().map(digit));
}

fn number(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |sum: u64, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// Days since 1970 to year, month, day: Howard Hinnant's algorithm, for 1970 and later.
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// The inverse of [`civil`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(micros: u64) -> String {
        let mut out = Vec::new();
        push(&mut out, micros);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_instants() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_827_696_789_012, "2000-02-29T12:34:56.789012Z"),
            (1_767_225_599_999_999, "2025-12-31T23:59:59.999999Z"),
            (4_102_444_800_000_000, "2100-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(spelled(micros), text);
            assert_eq!(parse(text.as_bytes()), Some(micros));
        }
    }

    #[test]
    fn what_is_not_a_time_stamp() {
        for text in [
            "2025-02-29T00:00:00.000000Z",
            "2025-13-01T00:00:00.000000Z",
            "2025-00-01T00:00:00.000000Z",
            "2025-01-01T24:00:00.000000Z",
            "2025-01-01T00:00:60.000000Z",
            "2025-01-01T00:00:00.00000Z",
            "2025-01-01T00:00:00.0000000Z",
            "2025-01-01t00:00:00.000000Z",
            "2025-01-01T00:00:00.000000z",
            "2025-01-01T00:00:00+00:00Z ",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_instant_reads_back(micros in 0..253_402_300_800_000_000_u64) {
            proptest::prop_assert_eq!(parse(spelled(micros).as_bytes()), Some(micros));
        }
    }
}
