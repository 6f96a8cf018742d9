//! Durations as people write them: `500ms`, `5s`, `1.5s`, `2m`, `1h`, `1d`.

use std::time::Duration;

/// Reads a number with its unit; says what would be right otherwise.
pub fn parse(text: &str) -> Result<Duration, String> {
    const FORM: &str = "write a number with its unit: \"500ms\", \"5s\", \"2m\", \"1h\" or \"1d\"";
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).unwrap_or((text, ""));
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "" if !number.is_empty() => return Err(format!("a duration needs a unit; {FORM}")),
        _ => return Err(FORM.to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| FORM.to_owned())?;
    // Whole milliseconds: 0.1 s must not become 99.999999 ms.
    Duration::try_from_secs_f64((number * seconds * 1_000.0).round() / 1_000.0).map_err(|_| FORM.to_owned())
}

/// The same, for messages: `90s` as `90s`, never as `1m30s`.
pub fn show(duration: Duration) -> String {
    match (duration.as_millis(), duration.as_secs()) {
        (0, _) => "0s".to_owned(),
        (ms, _) if ms % 1_000 != 0 => format!("{ms}ms"),
        (_, s) if s % 86_400 == 0 => format!("{}d", s / 86_400),
        (_, s) if s % 3_600 == 0 => format!("{}h", s / 3_600),
        (_, s) if s % 60 == 0 => format!("{}m", s / 60),
        (_, s) => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse("0.1s"), Ok(Duration::from_millis(100)));
        assert_eq!(parse("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(parse("1h"), Ok(Duration::from_hours(1)));
        for bad in ["", "5", "5 s", "s", "-1s", "1..2s", "1e9s", "5sec", "99999999999999999999d", "５s", "."] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for text in ["0s", "250ms", "90s", "2m", "1h", "3d"] {
            assert_eq!(parse(text).map(show), Ok(text.to_owned()));
        }
    }
}
