//! `--as-known-at`: the state as it was known at a moment.

use clap::Args;
use sesshu_engine::Moment;
use sesshu_engine::ticket::Date;

/// The option of commands that show what is known.
#[derive(Debug, Args)]
pub(super) struct KnownAt {
    /// As it was known then: a time (2021-06-01T12:00:00+09:00), the end of a day in Japan (2021-06-01), or the sequence of an event (4711)
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    as_known_at: Option<Moment>,
}

impl KnownAt {
    pub(super) fn moment(&self) -> Option<Moment> {
        self.as_known_at
    }
}

/// Reads a time, or the end of a day in Japan: milliseconds since 1970.
pub(super) fn time(text: &str) -> Result<u64, String> {
    match moment(text) {
        Ok(Moment::Time(time_ms)) => Ok(time_ms),
        _ => Err("a time (2021-06-01T12:00:00+09:00) or a day (2021-06-01) is expected".into()),
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Moment::Time(u64::try_from(time.as_millisecond()).map_err(|_| "before 1970")?));
    }
    // A day has its hyphens here: eight digits alone may be a sequence.
    if let Ok(date) = Date::parse(text)
        && text.contains(['-', '/'])
    {
        let end = (i64::from(date.days_since_epoch()) + 1) * 86_400_000 - 9 * 3_600_000 - 1;
        return Ok(Moment::Time(u64::try_from(end).map_err(|_| "before 1970")?));
    }
    let expected = "a time (2021-06-01T12:00:00+09:00), a day (2021-06-01) or the sequence of an event is expected";
    text.parse().map(Moment::Sequence).map_err(|_| expected.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_a_day_or_a_sequence() {
        let noon = Moment::Time(1_622_516_400_000);
        assert_eq!(moment("2021-06-01T12:00:00+09:00"), Ok(noon));
        assert_eq!(moment("2021-06-01T03:00:00Z"), Ok(noon));
        // To the last millisecond of the day in Japan.
        assert_eq!(moment("2021-06-01"), Ok(Moment::Time(1_622_516_400_000 + 12 * 3_600_000 - 1)));
        assert_eq!(moment("20210601"), Ok(Moment::Sequence(20_210_601)));
        for wrong in ["", "yesterday", "2021-06-31", "-7", "1969-01-01"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
