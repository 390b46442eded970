//! What came to happen in a year, what should have, and whether it did.
//!
//! Owns the table at the end. Each of its lines says what came, what was expected, and whether that is near enough: without these a year that lacks what a real
//! one has would prove nothing and still end well.

use std::fmt;
use std::time::Duration;

use indicatif::HumanCount;
use sesshu_engine::Status;

use super::calendar::{BUSIEST_SHARE, LAST, RECORDED_WITHIN};
use super::clerk::ACTS_PER_THOUSAND;
use super::compare::Compared;
use super::deed::Deed;
use super::failed::{Failed, failed};
use super::plan::Reading;
use super::player::Player;
use super::recount::{Recount, outcome_word};
use super::totals::Totals;

/// Shots of a month from which on their shares say something.
const SHOTS_THAT_SAY_SOMETHING: u64 = 1000;

/// Of a hundred acts, how many of each kind clerks ask for, and how they are answered.
const KINDS_OF_ACTS: [(&str, f64); 6] =
    [("correct", 50.0), ("reassign", 15.0), ("void", 14.5), ("confirm", 12.0), ("reinstate", 6.0), ("unlock", 2.8)];
const OUTCOMES_OF_ACTS: [(&str, f64); 4] = [("amended", 85.7), ("held", 6.6), ("stale", 3.8), ("unchanged", 3.9)];

/// What a year came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    lines: Vec<Line>,
}

/// One thing that a year has.
#[derive(Clone, Debug)]
struct Line {
    what: String,
    came: String,
    expected: String,
    holds: bool,
}

/// What a year is summed up from.
pub(super) struct Parts<'a, 'i> {
    pub(super) recount: &'a Recount<'i>,
    pub(super) player: &'a Player<'i>,
    pub(super) status: &'a Status,
    /// As known at so many moments, and now.
    pub(super) then: &'a Compared,
    pub(super) moments: u64,
    pub(super) now: &'a Compared,
    pub(super) playing: Duration,
    pub(super) whole: Duration,
}

impl Summary {
    pub(super) fn of(parts: &Parts<'_, '_>) -> Summary {
        let mut summary = Summary::default();
        let totals = Totals::of(parts.recount);
        summary.registers(parts);
        summary.shots(parts, &totals);
        summary.acts(parts);
        summary.programs(parts);
        summary.compared(parts, &totals);
        summary.speed(parts);
        summary
    }

    /// Everything that was expected came.
    ///
    /// # Errors
    ///
    /// Everything that did not.
    pub(super) fn check(&self) -> Result<(), Failed> {
        let missing: Vec<String> = self.lines.iter().filter(|line| !line.holds).map(ToString::to_string).collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(failed("a year has what the real one has", format!("{}\n\n{self}", missing.join("\n"))))
        }
    }

    fn line(&mut self, what: impl Into<String>, came: impl Into<String>, expected: impl Into<String>, holds: bool) {
        self.lines.push(Line { what: what.into(), came: came.into(), expected: expected.into(), holds });
    }

    /// As many as were counted.
    fn same(&mut self, what: &str, came: u64, counted: u64) {
        self.line(what, count(came), count(counted), came == counted);
    }

    /// About as many as a share asks for.
    fn about(&mut self, what: impl Into<String>, came: u64, expected: f64) {
        // Wider than chance ever is; and the shares are rounded.
        let margin = 5.0 * expected.sqrt() + 0.25 * expected;
        let holds = (came as f64 - expected).abs() <= margin && (came > 0 || expected < 10.0);
        self.line(what, count(came), format!("about {}", count(expected.round() as u64)), holds);
    }

    fn some(&mut self, what: impl Into<String>, came: u64) {
        self.line(what, count(came), "some", came > 0);
    }

    /// A share of many, in percent.
    fn percent(&mut self, what: String, part: u64, whole: u64, expected: f64, within: f64) {
        let share = 100.0 * part as f64 / whole.max(1) as f64;
        let chance = 5.0 * (expected * (100.0 - expected) / whole.max(1) as f64).sqrt();
        let holds = whole > 0 && (share - expected).abs() <= chance + within;
        self.line(what, format!("{share:.2} %"), format!("{expected:.2} %"), holds);
    }

    fn registers(&mut self, parts: &Parts<'_, '_>) {
        let (recount, tally) = (parts.recount, &parts.recount.tally);
        let books = recount.books;
        let settled: u64 = books.iter().map(|book| book.settled).sum();
        let counted = |has: fn(&super::recount::Counted) -> bool| {
            recount.tickets.values().filter(|counted| has(counted)).count() as u64
        };
        self.line("residents when it begins", count(settled), "", true);
        self.some("municipalities", books.len() as u64);
        self.same("rows when it ends", parts.status.residents, counted(|ticket| ticket.row.is_some()));
        let sent: u64 = books.iter().map(|book| u64::from(book.sendings(LAST))).sum();
        let again = tally.registers - tally.folds;
        self.line(
            "registers that folded what was recorded",
            count(tally.folds),
            format!("{} and those sent again", count(sent)),
            tally.folds >= sent && again == books.len() as u64,
        );
        self.some("  built aside, installed behind the shots", parts.player.played.installed_later);
        self.same("halves of registers, held", parts.player.played.held_registers, 12);
        self.percent("rows changed by a sending".into(), tally.rows_changed, tally.rows_sent, 1.0, 0.2);
        self.some("rows that were new in a sending", tally.rows_added - settled);
        self.some("rows that were missing in a sending", tally.rows_removed);
        let reissued = books.iter().flat_map(|book| &book.people).filter(|person| person.reissued.is_some());
        self.same("tickets reissued", tally.reissues, reissued.count() as u64);
        let orphans = counted(|ticket| ticket.row.is_none() && !ticket.shots.is_empty());
        self.same("orphans when it ends", parts.status.orphans, orphans);
        self.some("orphans whose row came later", tally.adopted);
    }

    fn shots(&mut self, parts: &Parts<'_, '_>, totals: &Totals) {
        let (recount, tally) = (parts.recount, &parts.recount.tally);
        let residents: u64 = recount.books.iter().map(|book| book.people.len() as u64).sum();
        self.same("shots recorded", parts.status.shots, tally.recorded);
        let planned =
            |reading| recount.shots.by_day.iter().flatten().filter(|entry| entry.reading == reading).count() as u64;
        let (doubles, conflicts) = (planned(Reading::Double), planned(Reading::Conflict));
        let papers = recount.shots.papers.len() as u64;
        self.same("  as papers, and papers read twice", tally.recorded, papers + doubles);
        self.some("  papers read twice", doubles);
        self.some("  numbers misread", planned(Reading::Misread));
        self.percent("  for a hundred residents".into(), tally.recorded * 10, residents * 18, 100.0, 1.0);
        self.percent("recorded as orphans".into(), tally.orphans, tally.recorded, 0.7, 0.6);
        let handed_in: u64 = recount.shots.by_day.iter().map(|entries| entries.len() as u64).sum();
        let repeated = handed_in - papers - doubles - conflicts;
        self.same("sent again, and recorded already", tally.already, repeated + tally.recorded_untold);
        self.some("  since nobody had answered", tally.recorded_untold);
        self.same("capture ids with other content", tally.conflicts, conflicts);
        let (day, busiest) = totals.busiest();
        self.percent(
            format!("of the residents on the busiest day, {day}"),
            busiest,
            residents,
            BUSIEST_SHARE * 100.0,
            0.12,
        );
        let mut months: Vec<(u64, u32)> = totals.months.iter().map(|(month, late)| (late.shots, *month)).collect();
        months.sort_unstable();
        let mut most: Vec<u32> = months.iter().rev().take(3).map(|(_, month)| *month).collect();
        most.sort_unstable();
        self.line(
            "months with the most shots",
            format!("{most:?}"),
            "[202107, 202108, 202109]",
            most == [202_107, 202_108, 202_109],
        );
        for (at, (days, percent)) in RECORDED_WITHIN.into_iter().enumerate() {
            let all = totals.months.values().map(|late| late.within[at]).sum();
            self.percent(format!("recorded within {days} days"), all, tally.recorded, percent, 0.8);
            for (month, late) in totals.months.iter().filter(|(_, late)| late.shots >= SHOTS_THAT_SAY_SOMETHING) {
                // The last weeks' late ones come when the year is over, or on its last day.
                let within = if *month >= 202_202 { 30.0 } else { 1.0 };
                self.percent(format!("  of {month}"), late.within[at], late.shots, percent, within);
            }
        }
    }

    fn acts(&mut self, parts: &Parts<'_, '_>) {
        let tally = &parts.recount.tally;
        let answered = parts.player.done.iter().flat_map(|done| match &done.deed {
            Deed::Acts { told, .. } => &told[..],
            _ => &[],
        });
        let mut outcomes = std::collections::BTreeMap::<&str, u64>::new();
        answered.flatten().for_each(|told| *outcomes.entry(outcome_word(told.outcome)).or_default() += 1);
        let asked: u64 = outcomes.values().sum();
        self.percent("acts for a hundred shots".into(), asked, tally.recorded, ACTS_PER_THOUSAND as f64 / 10.0, 0.1);
        let of = |share: f64| asked as f64 * share / 100.0;
        for (word, share) in KINDS_OF_ACTS {
            self.about(format!("  to {word}"), tally.acts.get(word).copied().unwrap_or_default(), of(share));
        }
        for (word, share) in OUTCOMES_OF_ACTS {
            self.about(format!("  {word}"), outcomes.get(word).copied().unwrap_or_default(), of(share));
        }
        self.about("  that settled a held write", tally.settled, of(3.7));
        self.about("  that brought a shot back", tally.returned, of(3.5));
        self.about("  that went to another municipality", tally.across_municipalities, of(0.4));
        self.about("  by a ticket that the shot left", tally.by_left_ticket, of(3.5));
        self.about("  by another ticket of the person", tally.by_other_ticket, of(0.5));
    }

    fn programs(&mut self, parts: &Parts<'_, '_>) {
        let (lives, played) = (parts.player.program.lives, &parts.player.played);
        self.some("programs killed", lives.killed);
        self.some("  with the power cut", lives.cut);
        for among in ["registers", "shots", "acts"] {
            self.some(
                format!("  in the middle of {among}"),
                played.in_the_middle.get(among).copied().unwrap_or_default(),
            );
        }
        self.some("answers that nobody got", parts.recount.tally.unanswered);
        self.some("events that killed programs left", parts.recount.tally.found);
        self.some("programs that closed the store", lives.closed);
        self.some("deeds with the clock put back", parts.recount.tally.clock_back);
        self.some("checkpoints asked for", played.checkpoints);
        self.some("checkpoints that an open went on from", lives.restored);
    }

    fn compared(&mut self, parts: &Parts<'_, '_>, totals: &Totals) {
        let Parts { then, now, moments, .. } = parts;
        let books = parts.recount.books.len() as u64;
        self.same("ledgers compared as known at", then.ledgers, books * moments);
        self.some(format!("  tickets, at {moments} moments"), then.tickets);
        self.some("  shots", then.shots);
        self.some("  matches compared as known at", then.matches);
        self.same("ledgers compared at the end", now.ledgers, books);
        self.same("  tickets, and what each matches to", now.tickets, parts.recount.tickets.len() as u64);
        let all: u64 = parts.recount.tickets.values().map(|ticket| ticket.shots.len() as u64).sum();
        self.same("  histories of shots", now.histories, all);
        self.line("  events in them", count(now.events), "more than histories", now.events > now.histories);
        for (what, shown, counted) in
            [("recorded", &now.recorded, &totals.recorded), ("net of voids", &now.net, &totals.net)]
        {
            let sum = |totals: &super::compare::ByDayAndDose| totals.values().sum::<u64>();
            let holds = shown == counted && !counted.is_empty();
            let came = format!("{} on {} days and doses", count(sum(shown)), count(shown.len() as u64));
            self.line(format!("shots by day and dose, {what}"), came, count(sum(counted)), holds);
        }
        let voided = totals.recorded.values().sum::<u64>() - totals.net.values().sum::<u64>();
        self.some("  void", voided);
    }

    fn speed(&mut self, parts: &Parts<'_, '_>) {
        let (played, tally) = (&parts.player.played, &parts.recount.tally);
        let rate = |count: u64, time: Duration| format!("{}/s", HumanCount((count as f64 / time.as_secs_f64()) as u64));
        self.line("rows loaded", rate(played.rows, played.loading), "", true);
        self.line("shots recorded", rate(tally.recorded, played.recording), "", true);
        self.line("acts done", rate(tally.acts.values().sum(), played.amending), "", true);
        self.line("time to play it", format!("{:.1} s", parts.playing.as_secs_f64()), "", true);
        self.line("time with the recount", format!("{:.1} s", parts.whole.as_secs_f64()), "", true);
    }
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { what, came, expected, holds } = self;
        let end = if *holds { "" } else { "  NOT SO" };
        write!(f, "{what:<44} {came:>36}  {expected}{end}")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<44} {:>36}  expected", "", "came")?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
