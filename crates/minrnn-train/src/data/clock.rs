//! Which texts read as the time of a clock or a calendar.

use super::decimal::whole;

/// Seconds since 1970 of the years 2000 and 2100.
const EPOCH: std::ops::Range<i128> = 946_684_800..4_102_444_800;

/// Whether a cell reads as a time: a date, a time of day or both, or seconds, milliseconds, microseconds or nanoseconds since 1970 of a year
/// between 2000 and 2100.
pub fn is_time(cell: &str) -> bool {
    if let Some(number) = whole(cell) {
        let units = [1, 1_000, 1_000_000, 1_000_000_000];
        return units.iter().any(|unit| EPOCH.contains(&(number / unit)));
    }
    match cell.split_once(['T', ' ']) {
        Some((day, time)) => is_time_of_day(cell) || (is_date(day) && is_time_of_day(time)),
        None => is_date(cell) || is_time_of_day(cell),
    }
}

fn number(digits: &str) -> Option<u32> {
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Year, month and day, or the year last, with day and month in either order; the year has four digits.
fn is_date(text: &str) -> bool {
    ['-', '/', '.'].into_iter().any(|apart| {
        let parts: Vec<&str> = text.split(apart).collect();
        let [first, middle, last] = parts[..] else {
            return false;
        };
        let (year, others) = match first.len() {
            4 => (first, [middle, last]),
            _ => (last, [first, middle]),
        };
        let [Some(a), Some(b)] = others.map(number) else {
            return false;
        };
        let days = (1..=31).contains(&a) && (1..=31).contains(&b) && a.min(b) <= 12;
        year.len() == 4 && number(year).is_some() && days
    })
}

/// Hours and minutes, and perhaps seconds with a fraction, half of a day and distance from UTC.
fn is_time_of_day(text: &str) -> bool {
    let text = text.trim_end_matches(['Z', 'z']);
    let text = match text.rsplit_once(['+', '-']) {
        Some((time, _)) => time,
        None => text,
    };
    let halves = ["AM", "PM", "am", "pm"];
    let half = halves.iter().find_map(|half| text.strip_suffix(half));
    let parts: Vec<&str> = half.unwrap_or(text).trim().split(':').collect();
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes] => (hours, minutes, "0"),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return false,
    };
    let (seconds, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, "0"));
    let below = |text: &str, end: u32| text.len() <= 2 && number(text).is_some_and(|n| n < end);
    let digits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    below(hours, 25) && minutes.len() == 2 && below(minutes, 60) && below(seconds, 61) && digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_times_of_day_and_seconds_since_1970_are_times() {
        for time in [
            "2026-01-01 00:00",
            "2026-01-01",
            "31/12/2025 9:05",
            "1.5.2024",
            "2024-05-01T10:00:00.123456Z",
            "2024-05-01T10:00:00+02:00",
            "09:59",
            "9:05:01 PM",
            "1700000000",
            "1700000000.0",
            "1700000000123",
            "1700000000000001000",
        ] {
            assert!(is_time(time), "{time}");
        }
        for none in [
            "",
            "7",
            "r00",
            "01-03",
            "1-2-3",
            "2024-13-32",
            "10:5",
            "25:61",
            "a:b",
            "pump 7",
            "192.168.0.1",
            "0.5",
            "100",
            "T",
            "-",
            "1:2:3:4",
        ] {
            assert!(!is_time(none), "{none}");
        }
    }
}
