//! Maintenance windows: whether hosts may be begun now, and when they may next.

use hostler_events::campaigns::{Weekday, WindowPolicy};
use jiff::civil::{self, Date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::support::after;

/// How many days around a moment are looked at: each window comes again each week, and may be a week long.
const DAYS: std::ops::RangeInclusive<i64> = -8..=8;
/// When it is looked at again where no window is a time at all.
const DAY_SECONDS: u32 = 86_400;

/// Whether a host may be begun now. If not: when the next window opens. Without any window, hosts may be begun at all times.
///
/// # Errors
/// The moment at which the next window opens.
pub fn is_open(windows: &[WindowPolicy], now: Timestamp) -> Result<(), Timestamp> {
    if windows.is_empty() {
        return Ok(());
    }
    let mut next = None::<Timestamp>;
    for (opens, closes) in windows.iter().flat_map(|window| around(window, now)) {
        if opens <= now && now < closes {
            return Ok(());
        }
        if opens > now && opens < closes {
            next = Some(next.map_or(opens, |next| next.min(opens)));
        }
    }
    Err(next.unwrap_or_else(|| after(now, DAY_SECONDS)))
}

/// When a window opens, and when the last host is begun in it.
fn around(window: &WindowPolicy, now: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
    let today = now.to_zoned(TimeZone::UTC).date();
    DAYS.filter_map(move |offset| {
        let day = today.checked_add(offset.days()).ok()?;
        let opens = opens_on(window, day)?;
        let minutes = window.minutes.saturating_sub(window.cutoff_minutes);
        let closes = opens.checked_add(SignedDuration::from_mins(i64::from(minutes))).ok()?;
        Some((opens, closes))
    })
}

fn opens_on(window: &WindowPolicy, day: Date) -> Option<Timestamp> {
    if !window.days.is_empty() && !window.days.contains(&weekday(day.weekday())) {
        return None;
    }
    let (hour, minute) = window.starts_at()?;
    let time = day.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn weekday(day: civil::Weekday) -> Weekday {
    match day {
        civil::Weekday::Monday => Weekday::Mon,
        civil::Weekday::Tuesday => Weekday::Tue,
        civil::Weekday::Wednesday => Weekday::Wed,
        civil::Weekday::Thursday => Weekday::Thu,
        civil::Weekday::Friday => Weekday::Fri,
        civil::Weekday::Saturday => Weekday::Sat,
        civil::Weekday::Sunday => Weekday::Sun,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn window(days: &[Weekday], start: &str, minutes: u32, cutoff_minutes: u32) -> WindowPolicy {
        WindowPolicy { days: days.to_vec(), start: start.to_owned(), minutes, cutoff_minutes }
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    /// 2026-11-28 is a Saturday.
    #[test]
    fn a_window_is_open_until_its_cutoff_and_comes_again() {
        let windows = [window(&[Weekday::Sat], "22:00", 240, 30)];
        assert_eq!(is_open(&windows, at("2026-11-28T21:59:59Z")), Err(at("2026-11-28T22:00:00Z")));
        assert_eq!(is_open(&windows, at("2026-11-28T22:00:00Z")), Ok(()));
        // Over midnight, until half an hour before its end.
        assert_eq!(is_open(&windows, at("2026-11-29T01:29:59Z")), Ok(()));
        assert_eq!(is_open(&windows, at("2026-11-29T01:30:00Z")), Err(at("2026-12-05T22:00:00Z")));
    }

    #[test]
    fn the_first_of_several_windows_is_waited_for() {
        let windows = [window(&[Weekday::Wed], "03:00", 60, 0), window(&[], "05:00", 10, 0)];
        assert_eq!(is_open(&windows, at("2026-11-24T06:00:00Z")), Err(at("2026-11-25T03:00:00Z")));
        assert_eq!(is_open(&windows, at("2026-11-25T04:30:00Z")), Err(at("2026-11-25T05:00:00Z")));
        assert_eq!(is_open(&windows, at("2026-11-25T05:09:00Z")), Ok(()));
    }

    #[test]
    fn without_windows_every_time_is_good_and_one_that_never_opens_is_looked_at_again() {
        let now = at("2026-11-25T04:30:00Z");
        assert_eq!(is_open(&[], now), Ok(()));
        assert_eq!(is_open(&[window(&[], "soon", 10, 0)], now), Err(at("2026-11-26T04:30:00Z")));
    }
}
