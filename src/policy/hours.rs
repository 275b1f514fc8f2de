//! Office hours: `Mon-Fri 08:00-18:00 Europe/Paris`.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

/// Days, times and zone.
#[derive(Debug, Clone)]
pub(super) struct Hours {
    text: String,
    first: Weekday,
    last: Weekday,
    from: Time,
    until: Time,
    zone: TimeZone,
}

const SHAPE: &str = "write them as `Mon-Fri 08:00-18:00 Europe/Paris`";

impl Hours {
    /// Parses; the error says what is wrong and what to write.
    pub(super) fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        let wrong = |what: String| (what, Some(SHAPE.to_owned()));
        let words: Vec<&str> = text.split_whitespace().collect();
        let [days, times, zone] = words.as_slice() else { return Err(wrong(format!("`{text}` are no hours"))) };
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let day = |name: &str| weekday(name).ok_or_else(|| wrong(format!("`{name}` is no day of the week")));
        let (from, until) = times.split_once('-').ok_or_else(|| wrong(format!("`{times}` is no span of time")))?;
        let (first, last, from, until) = (day(first)?, day(last)?, time(from).map_err(wrong)?, time(until).map_err(wrong)?);
        if from >= until {
            return Err(wrong(format!("`{times}` ends before it begins")));
        }
        let zone = TimeZone::get(zone).map_err(|_| wrong(format!("`{zone}` is no time zone that this machine knows")))?;
        Ok(Self { text: text.to_owned(), first, last, from, until, zone })
    }

    /// Whether this moment is within the hours. The end is outside.
    pub(super) fn contains(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(self.zone.clone());
        let offset = |day: Weekday| i16::from(self.first.until(day));
        offset(now.weekday()) <= offset(self.last) && (self.from..self.until).contains(&now.time())
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

pub(super) const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

fn weekday(name: &str) -> Option<Weekday> {
    DAYS.iter().find(|(short, _)| *short == name).map(|(_, day)| *day)
}

fn time(text: &str) -> Result<Time, String> {
    let wrong = || format!("`{text}` is no time of day");
    let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2).ok_or_else(wrong)?;
    let (hour, minute) = (hour.parse().map_err(|_| wrong())?, minute.parse().map_err(|_| wrong())?);
    if (hour, minute) == (24, 0) {
        return Ok(Time::MAX);
    }
    Time::new(hour, minute, 0, 0).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_know_their_days_and_their_zone() {
        let hours = Hours::parse("Mon-Fri 08:00-18:00 UTC").unwrap();
        for (now, inside) in [
            ("2026-11-20T08:00:00Z", true), // a Friday
            ("2026-11-20T17:59:59Z", true),
            ("2026-11-20T18:00:00Z", false),
            ("2026-11-20T07:59:59Z", false),
            ("2026-11-21T12:00:00Z", false),
        ] {
            assert_eq!(hours.contains(now.parse().unwrap()), inside, "{now}");
        }
        let over_the_weekend = Hours::parse("Sat-Mon 00:00-24:00 UTC").unwrap();
        assert!(over_the_weekend.contains("2026-11-22T12:00:00Z".parse().unwrap()));
        assert!(!over_the_weekend.contains("2026-11-24T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_is_no_hours_is_an_error() {
        for wrong in
            ["", "Mon-Fri", "Mon-Fry 08:00-18:00 UTC", "Mon 8-18 UTC", "Mon 18:00-08:00 UTC", "Mon 08:00-25:00 UTC", "Mon 08:00-18:00 Mars/Base"]
        {
            assert!(Hours::parse(wrong).is_err(), "{wrong}");
        }
    }
}
