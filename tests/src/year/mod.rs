//! A year in the shape of the real one, played against a store and recounted from what was done.
//!
//! | file | owns |
//! |---|---|
//! | `calendar` | the days, when people come, how late shots are recorded, the store's clock |
//! | `book` | the municipalities' own registers and their sendings |
//! | `plan` | the shots of the year and what is read of them |
//! | `clerk` | who sets shots right, and what they know |
//! | `program` | the store's program: it starts, ends, is killed |
//! | `player` | the order of a day; what nobody answered is done again |
//! | `deed` | the list of what was done |
//! | `recount` | what a store should hold, from that list, by plain rules |
//! | `compare`, `shown` | the store held against the recount |
//! | `totals` | shots by day and dose, and how late they were |
//! | `summary` | what came to happen, what should have, and whether it did |
//!
//! A year is a function of its options but for the threads of the store: what they do beside each other is not the same twice, and must not matter.

mod book;
mod calendar;
mod clerk;
mod compare;
mod deed;
mod failed;
mod plan;
mod player;
mod program;
mod recount;
mod shown;
mod summary;
mod totals;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sesshu::generate::Plan;
use sesshu_engine::Moment;

use book::Book;
use calendar::{BEFORE, Clock, FIRST, LAST, days, end_of, ends_month};
use compare::Compared;
pub use failed::Failed;
use failed::{ensure, failed};
use plan::Shots;
use player::Player;
use program::Program;
use recount::Recount;
use summary::Parts;
pub use summary::Summary;

/// What is played.
#[derive(Clone, Debug)]
pub struct Year {
    /// Residents before the programme begins.
    pub residents: u64,
    /// In so many municipalities, of the sizes of real ones.
    pub municipalities: usize,
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// The store's directory, which must be empty or not there.
    pub store: PathBuf,
}

impl Year {
    /// Plays the year and holds the store against the recount.
    ///
    /// # Errors
    ///
    /// The first thing that is not as it was counted, or did not come to happen.
    pub fn play(&self) -> Result<Summary, Failed> {
        let begun = Instant::now();
        let plan = Plan::spread(self.residents, self.municipalities, self.seed);
        let plan = plan.map_err(|error| failed("the residents can be spread", error))?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let bar = bar(2, "inventing");
        let books = Book::all(&plan, &mut rng);
        bar.inc(1);
        let shots = Shots::draw(&books, self.seed, &mut rng);
        bar.finish_and_clear();

        let program = Program::start(&self.store, Arc::new(Clock::new(self.seed)))?;
        let mut player = Player::new(&books, &shots, rng, program);
        let bar = self::bar((LAST - FIRST + 1) as u64, "playing");
        player.play(&bar)?;
        bar.finish_and_clear();
        player.program.close_and_open()?;
        let played = begun.elapsed();

        let (recount, then, moments) = recount_months(&player, &books, &shots)?;
        let bar = self::bar(books.len() as u64, "comparing");
        let view = player.program.store().view();
        let now = compare::all(&view, &recount, &bar)?;
        bar.finish_and_clear();
        ensure(view.sequence() == recount.sequence, "the store has the events that were counted", || view.sequence())?;
        let status = player.program.store().status();
        let (playing, whole) = (played, begun.elapsed());
        let parts = Parts {
            recount: &recount,
            player: &player,
            status: &status,
            then: &then,
            moments,
            now: &now,
            playing,
            whole,
        };
        let summary = Summary::of(&parts);
        summary.check()?;
        Ok(summary)
    }
}

/// Recounts the list, and at the end of every month asks the store, as it is now, what it knew then.
fn recount_months<'i>(
    player: &Player<'_>,
    books: &'i [Book],
    shots: &'i Shots,
) -> Result<(Recount<'i>, Compared, u64), Failed> {
    let ends: Vec<i32> = days().filter(|&day| ends_month(day)).collect();
    let bar = bar(ends.len() as u64, "asking as known at");
    let mut recount = Recount::new(books, shots);
    let (mut compared, mut done) = (Compared::default(), player.done.iter().peekable());
    let view = player.program.store().view();
    for (index, &end) in [BEFORE].iter().chain(&ends).enumerate() {
        while let Some(done) = done.next_if(|done| done.day <= end) {
            recount.apply(done)?;
        }
        // By time and by sequence in turn.
        let moment = if index % 2 == 0 { Moment::Time(end_of(end)) } else { Moment::Sequence(recount.sequence) };
        compared.add(&compare::ledgers_at(&view, &recount, moment)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    ensure(done.next().is_none(), "the year ends with a month", || "something was done later")?;
    Ok((recount, compared, ends.len() as u64 + 1))
}

/// How far it has come, for people: on standard error, and only if that is a terminal.
fn bar(total: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {elapsed}");
    let target = if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(style).with_message(what)
}
