//! The check of a shot against the rules.
//!
//! Owns what each warning means. Pure: a shot, what is known of the person, the day. Each kind of warning comes once at most, so a shot's warnings are short.

use sesshu_proto::v1::{ResidentStatus, Warning, WarningKind};

use super::Rules;
use crate::ticket::Date;
use crate::wire::take_field;

/// What the rules compare of a shot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    /// 0 for the one that is to be recorded.
    pub(crate) shot_id: u64,
    pub(crate) date: Date,
    pub(crate) dose: u32,
    pub(crate) vaccine: &'a str,
}

/// What the rules ask of a register row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResidentFacts {
    /// YYYYMMDD, zeros for what is not known.
    birth_date: u32,
    status: i32,
    status_date: u32,
}

impl ResidentFacts {
    /// Of an encoded `Resident`. What is no message says nothing: whoever reads the row tells of the damage.
    pub(crate) fn of(resident: &[u8]) -> ResidentFacts {
        let read = |mut rest: &[u8]| {
            let mut facts = ResidentFacts::default();
            while !rest.is_empty() {
                match take_field(&mut rest)? {
                    (4, value) => facts.birth_date = value.number_u32()?,
                    (6, value) => facts.status = value.number_u32()?.cast_signed(),
                    (7, value) => facts.status_date = value.number_u32()?,
                    _ => {}
                }
            }
            Some(facts)
        };
        read(resident).unwrap_or_default()
    }

    /// Of somebody of whom no row is known.
    pub(crate) fn born(birth_date: u32) -> ResidentFacts {
        ResidentFacts { birth_date, ..ResidentFacts::default() }
    }
}

/// What is known when a shot is recorded.
pub(crate) struct Known<'a> {
    /// `None`: the ticket is in no register.
    pub(crate) resident: Option<ResidentFacts>,
    /// The person's other shots that count, in the order in which they were recorded.
    pub(crate) given: &'a [Given<'a>],
    /// The device's scan before was the same ticket, and not long ago.
    pub(crate) scanned_before: bool,
    pub(crate) today: Date,
}

impl Rules {
    /// What is strange about a shot that is to be recorded, from a stub with kind times ten plus dose; `None`: there was no ticket.
    pub(crate) fn check(&self, shot: &Given<'_>, stub: Option<u32>, known: &Known<'_>) -> Vec<Warning> {
        let mut warnings = Warnings(Vec::new());
        match known.resident {
            None => warnings.push(WarningKind::TicketNotInRegister, Warning::default()),
            Some(resident) => warnings.of_resident(shot.date, resident),
        }
        self.check_doses(shot, known.given, &mut warnings);
        if shot.date > known.today {
            warnings.push(WarningKind::DateInFuture, Warning::default());
        }
        if shot.date < self.begins {
            let date = self.begins.yyyymmdd();
            warnings.push(WarningKind::BeforeProgramme, Warning { date, ..Warning::default() });
        }
        let stub = stub.map(|stub| (stub / 10 % 10, stub % 10));
        // A tenth dose has no digit of its own.
        if let Some((_, printed)) = stub.filter(|(_, printed)| shot.dose < 10 && *printed != shot.dose) {
            warnings.push(WarningKind::PrintedDoseDiffers, Warning { printed, ..Warning::default() });
        }
        if known.scanned_before {
            warnings.push(WarningKind::SameAsScanBefore, Warning::default());
        }
        if let Some((kind, _)) = stub.filter(|(kind, _)| self.stub_kinds >> kind & 1 == 0) {
            warnings.push(WarningKind::UnknownStubKind, Warning { printed: kind, ..Warning::default() });
        }
        warnings.0
    }

    /// How long the same ticket on the same device is suspicious, in milliseconds.
    pub(crate) fn same_scan_ms(&self) -> u64 {
        self.same_scan_ms
    }

    fn check_doses(&self, shot: &Given<'_>, given: &[Given<'_>], warnings: &mut Warnings) {
        let of_other = |shot_id| Warning { shot_id, ..Warning::default() };
        if let Some(same) = given.iter().find(|other| other.dose == shot.dose) {
            warnings.push(WarningKind::DoseAlreadyRecorded, of_other(same.shot_id));
        }
        // Where a dose was recorded twice, the later of the days before, and the earlier of those after.
        let before = given.iter().filter(|other| other.dose < shot.dose).max_by_key(|other| (other.dose, other.date));
        let after = given.iter().filter(|other| other.dose > shot.dose).min_by_key(|other| (other.dose, other.date));
        let late = given.iter().find(|other| other.dose < shot.dose && other.date > shot.date);
        let early = given.iter().find(|other| other.dose > shot.dose && other.date < shot.date);
        if let Some(other) = late.or(early) {
            warnings.push(WarningKind::DoseOrder, of_other(other.shot_id));
        }
        if shot.dose > 1 && before.is_none_or(|before| before.dose + 1 < shot.dose) {
            warnings.push(WarningKind::DoseBeforeMissing, Warning::default());
        }
        let pairs =
            [before.map(|before| (before, shot, before.shot_id)), after.map(|after| (shot, after, after.shot_id))];
        let pairs = pairs.into_iter().flatten();
        if let Some(warning) = pairs.clone().find_map(|(first, second, other)| self.too_short(first, second, other)) {
            warnings.push(WarningKind::IntervalTooShort, warning);
        }
        let mixed = |(first, second, shot_id): (&Given<'_>, &Given<'_>, u64)| {
            let rule = (first.dose + 1 == second.dose)
                .then(|| self.mixes(second.dose, [second.vaccine, first.vaccine], [second.date, first.date]));
            Some(Warning { shot_id, rule: rule??.to_string(), ..Warning::default() })
        };
        if let Some(warning) = pairs.clone().find_map(mixed) {
            warnings.push(WarningKind::MixedVaccines, warning);
        }
    }

    /// Whether too few days lie between two doses that follow each other.
    fn too_short(&self, first: &Given<'_>, second: &Given<'_>, other: u64) -> Option<Warning> {
        // The other way round it is the order that is wrong.
        let days = u32::try_from(second.date.days_since_epoch() - first.date.days_since_epoch()).ok()?;
        let (days_min, rule) = self.interval(second.dose, second.vaccine, second.date, first.date)?;
        (days < days_min).then(|| Warning {
            shot_id: other,
            days,
            days_min,
            rule: rule.to_string(),
            ..Warning::default()
        })
    }
}

struct Warnings(Vec<Warning>);

impl Warnings {
    fn push(&mut self, kind: WarningKind, warning: Warning) {
        self.0.push(Warning { kind: kind.into(), ..warning });
    }

    fn of_resident(&mut self, shot: Date, resident: ResidentFacts) {
        if is_before(shot, resident.birth_date) {
            self.push(WarningKind::BeforeBirth, Warning { date: resident.birth_date, ..Warning::default() });
        }
        let kind = match ResidentStatus::try_from(resident.status) {
            Ok(ResidentStatus::MovedOut) => WarningKind::MovedOut,
            Ok(ResidentStatus::Deceased) => WarningKind::Deceased,
            Ok(ResidentStatus::Removed) => WarningKind::Removed,
            _ => return,
        };
        // Without a date it may have been before.
        if shot.yyyymmdd() > resident.status_date {
            self.push(kind, Warning { date: resident.status_date, ..Warning::default() });
        }
    }
}

/// Whether a day is before a birth date, as far as that is known.
fn is_before(day: Date, birth_date: u32) -> bool {
    let known = match (birth_date / 100 % 100, birth_date % 100) {
        (0, _) => 10_000,
        (_, 0) => 100,
        _ => 1,
    };
    day.yyyymmdd() / known < birth_date / known
}

/// The warnings with their reasons, as they travel.
#[must_use]
pub fn with_reasons(warnings: Vec<Warning>) -> Vec<Warning> {
    warnings.into_iter().map(|warning| Warning { reason: reason(&warning), ..warning }).collect()
}

/// A warning in words. It names no ticket.
fn reason(warning: &Warning) -> String {
    let Warning { shot_id, days, days_min, rule, date, printed, .. } = warning;
    match warning.kind() {
        WarningKind::Unspecified => "a warning of a kind that this program does not know".into(),
        WarningKind::TicketNotInRegister => "the ticket is in no register yet".into(),
        WarningKind::DoseAlreadyRecorded => format!("shot {shot_id} has the same dose number"),
        WarningKind::DoseOrder => {
            format!("shot {shot_id} has a lower dose number and a later date, or a higher one and an earlier date")
        }
        WarningKind::DoseBeforeMissing => "the dose before is not recorded".into(),
        WarningKind::IntervalTooShort => format!("{days} days from shot {shot_id}: at least {days_min} (rule {rule})"),
        WarningKind::MixedVaccines => format!("another vaccine than shot {shot_id} (rule {rule})"),
        WarningKind::DateInFuture => "the date is in the future".into(),
        WarningKind::BeforeProgramme => format!("the programme began on {}", Day(*date)),
        WarningKind::BeforeBirth => format!("the person was born on {}", Day(*date)),
        WarningKind::MovedOut => format!("the resident moved out on {}", Day(*date)),
        WarningKind::Deceased => format!("the resident died on {}", Day(*date)),
        WarningKind::Removed => format!("the resident was removed from the register on {}", Day(*date)),
        WarningKind::PrintedDoseDiffers => format!("the stub is of dose {printed}"),
        WarningKind::SameAsScanBefore => "the device's scan before was the same ticket".into(),
        WarningKind::UnknownStubKind => format!("{printed} is not a known kind of stub"),
    }
}

/// A day as people read it.
struct Day(u32);

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => f.write_str("an unknown day"),
            day => write!(f, "{:04}-{:02}-{:02}", day / 10_000, day / 100 % 100, day % 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use sesshu_proto::v1::Resident;

    use super::*;

    const DAY: u32 = 20_210_601;

    fn day(yyyymmdd: u32) -> Date {
        Date::from_yyyymmdd(yyyymmdd).unwrap()
    }

    fn shot(dose: u32, date: u32) -> Given<'static> {
        Given { shot_id: 0, date: day(date), dose, vaccine: "ファイザー" }
    }

    fn given(shot_id: u64, dose: u32, date: u32) -> Given<'static> {
        Given { shot_id, date: day(date), dose, vaccine: "コミナティ" }
    }

    fn resident(birth_date: u32, status: ResidentStatus, status_date: u32) -> ResidentFacts {
        let row = Resident {
            birth_date,
            status: status.into(),
            status_date,
            name: "試験 太郎".into(),
            ..Resident::default()
        };
        ResidentFacts::of(&row.encode_to_vec())
    }

    fn known<'a>(given: &'a [Given<'a>]) -> Known<'a> {
        let resident = Some(resident(19_600_401, ResidentStatus::Active, 0));
        Known { resident, given, scanned_before: false, today: day(20_230_101) }
    }

    /// The warnings' reasons.
    fn said(shot: &Given<'_>, known: &Known<'_>) -> Vec<String> {
        said_of_stub(shot, 20 + shot.dose % 10, known)
    }

    fn said_of_stub(shot: &Given<'_>, stub: u32, known: &Known<'_>) -> Vec<String> {
        let warnings = Rules::default().check(shot, Some(stub), known);
        for (at, warning) in warnings.iter().enumerate() {
            assert!(
                warnings[..at].iter().all(|other| other.kind != warning.kind),
                "each kind comes once: {warnings:?}"
            );
        }
        warnings.iter().map(reason).collect()
    }

    #[test]
    fn a_campaign_as_it_should_be_has_no_warnings() {
        let first = [given(7, 1, DAY)];
        assert!(said(&shot(1, DAY), &known(&[])).is_empty());
        assert!(said(&shot(2, 20_210_622), &known(&first)).is_empty());
        let both = [first[0], given(8, 2, 20_210_622)];
        assert!(said(&Given { vaccine: "モデルナ", ..shot(3, 20_220_110) }, &known(&both)).is_empty());
        // The first arrives last.
        assert!(said(&shot(1, DAY), &known(&[given(8, 2, 20_210_622)])).is_empty());
    }

    #[test]
    fn doses_are_compared_with_those_of_the_person() {
        let both = [given(7, 1, DAY), given(8, 2, 20_210_622)];
        let says = |offered: &Given<'_>, given: &[Given<'_>], expected: &[&str]| {
            assert_eq!(said(offered, &known(given)), expected);
        };
        says(&shot(2, 20_210_622), &both, &["shot 8 has the same dose number"]);
        says(&shot(2, 20_210_622), &[], &["the dose before is not recorded"]);
        says(&shot(3, 20_220_110), &both[..1], &["the dose before is not recorded"]);
        let order = "has a lower dose number and a later date, or a higher one and an earlier date";
        says(&shot(2, 20_210_531), &both[..1], &[&format!("shot 7 {order}")]);
        says(&shot(1, 20_210_701), &both[1..], &[&format!("shot 8 {order}")]);
        says(&shot(2, 20_210_619), &both[..1], &["18 days from shot 7: at least 19 (rule pfizer-2)"]);
        says(&shot(2, 20_210_620), &both[..1], &[]);
        // Late, and too near to the second.
        says(&shot(1, 20_210_610), &both[1..], &["12 days from shot 8: at least 19 (rule pfizer-2)"]);
        says(&shot(3, 20_211_221), &both, &["182 days from shot 8: at least 183 (rule booster-6-months)"]);
        let moderna = Given { vaccine: "モデルナ", ..shot(2, 20_210_701) };
        says(&moderna, &both[..1], &["another vaccine than shot 7 (rule first-two-doses)"]);
        let unknown = Given { vaccine: "ふぁいざぁ", ..shot(2, 20_210_701) };
        says(&unknown, &both[..1], &["another vaccine than shot 7 (rule first-two-doses)"]);
        says(&unknown, &[Given { vaccine: "フアイザア", ..both[0] }], &[]);
    }

    #[test]
    fn the_person_and_the_day_are_looked_at() {
        let with = |resident| Known { resident, ..known(&[]) };
        assert_eq!(said(&shot(1, DAY), &with(None)), ["the ticket is in no register yet"]);
        for (status, words) in [
            (ResidentStatus::MovedOut, "the resident moved out on"),
            (ResidentStatus::Deceased, "the resident died on"),
            (ResidentStatus::Removed, "the resident was removed from the register on"),
        ] {
            let on = |date| with(Some(resident(19_600_401, status, date)));
            assert_eq!(said(&shot(1, DAY), &on(20_210_531)), [format!("{words} 2021-05-31")]);
            assert!(said(&shot(1, DAY), &on(DAY)).is_empty());
            assert_eq!(said(&shot(1, DAY), &on(0)), [format!("{words} an unknown day")]);
        }
        let born = |date| with(Some(resident(date, ResidentStatus::Active, 0)));
        assert_eq!(said(&shot(1, DAY), &born(20_210_602)), ["the person was born on 2021-06-02"]);
        assert_eq!(said(&shot(1, DAY), &born(20_210_700)), ["the person was born on 2021-07-00"]);
        for known in [20_210_601, 20_210_600, 20_210_000, 19_400_000, 0] {
            assert!(said(&shot(1, DAY), &born(known)).is_empty());
        }
        assert_eq!(said(&shot(1, 20_210_216), &known(&[])), ["the programme began on 2021-02-17"]);
        assert!(said(&shot(1, 20_210_217), &known(&[])).is_empty());
        let on_that_day = Known { today: day(DAY), ..known(&[]) };
        assert!(said(&shot(1, DAY), &on_that_day).is_empty());
        assert_eq!(said(&shot(1, 20_210_602), &on_that_day), ["the date is in the future"]);
    }

    #[test]
    fn the_stub_is_looked_at() {
        let stub = |dose, stub| said_of_stub(&shot(dose, DAY), stub, &known(&[]));
        assert_eq!(stub(1, 22), ["the stub is of dose 2"]);
        assert_eq!(stub(1, 91), ["9 is not a known kind of stub"]);
        assert!(stub(1, 11).is_empty());
        let scanned = Known { scanned_before: true, ..known(&[]) };
        assert_eq!(said(&shot(1, DAY), &scanned), ["the device's scan before was the same ticket"]);
    }

    #[test]
    fn what_a_shot_at_its_strangest_is_warned_of_fits_the_limit() {
        let rules = Rules::default();
        let given = [given(u64::MAX, 1, DAY), given(u64::MAX, 2, DAY), given(u64::MAX, 3, 20_210_530)];
        let resident = Some(resident(20_220_101, ResidentStatus::Deceased, 20_210_101));
        let known = Known { resident, given: &given, scanned_before: true, today: day(20_200_101) };
        let warnings = rules.check(&Given { vaccine: "x", ..shot(2, 20_210_131) }, Some(91), &known);
        let bytes = |warnings: &[Warning]| -> usize { warnings.iter().map(|warning| 2 + warning.encoded_len()).sum() };
        assert!(bytes(&warnings) <= crate::limits::WARNINGS_BYTES_MAX);
        // Every kind there is, each with everything that any has.
        let fullest = Warning {
            kind: 15,
            shot_id: u64::MAX,
            days: 3660,
            days_min: 3660,
            rule: "r".repeat(crate::limits::RULE_NAME_BYTES_MAX),
            reason: String::new(),
            date: 0,
            printed: 0,
        };
        let dated = Warning { date: 99_991_231, kind: 15, ..Warning::default() };
        let other = Warning { shot_id: u64::MAX, kind: 15, ..Warning::default() };
        let short = Warning { printed: 9, kind: 15, ..Warning::default() };
        let all: Vec<_> = [vec![fullest; 2], vec![dated; 5], vec![other; 2], vec![short; 6]].concat();
        assert!(bytes(&all) <= crate::limits::WARNINGS_BYTES_MAX, "{}", bytes(&all));
    }
}
