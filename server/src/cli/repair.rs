//! `sesshu repair`: a damaged store made whole.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use sesshu_engine::{Loss, Repairs, Snapshot, SnapshotName, Verifying, repair};

use super::results::results;
use super::{progress, table};
use crate::answer;
use crate::answer_repair::{LossAnswer, RepairAnswer};
use crate::failure::{Done, Failure};
use crate::verification;

/// Make a damaged store whole, with as little lost as can be
///
/// What follows from what is whole is made again. What nothing else in the store has is taken from a snapshot of it, if one is named, and given up only with
/// --accept-loss: then everything that is gone is listed, ticket by ticket and event by event, here and in a report beside the store. The store must not be open; files that
/// others take the place of stay beside them with the ending .damaged. Look first: `sesshu verify`. Exit code 0: the store is whole; 1: it is, and something
/// was given up; 3: some findings are left.
#[derive(Debug, Args)]
pub(super) struct Repair {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The directory that a snapshot of this store was exported to: damaged files are taken from there
    #[arg(long, value_name = "EXPORTED", conflicts_with = "snapshot")]
    from: Option<PathBuf>,
    /// A snapshot inside the store, which still has what it replaced since. Files that it shares with the store are as damaged there
    #[arg(long, value_name = "NAME", value_parser = SnapshotName::parse)]
    snapshot: Option<SnapshotName>,
    /// Give up what nothing brings back, and list it
    #[arg(long)]
    accept_loss: bool,
    /// Where the list of what is gone is written, one JSON object a line [default: DIR.lost-TIME.jsonl]
    #[arg(long, value_name = "FILE", requires = "accept_loss")]
    report: Option<PathBuf>,
    /// One object for each thing that is gone or still wrong, and one at the end
    #[arg(long)]
    json: bool,
}

impl Repair {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let source = match (&self.from, &self.snapshot) {
            (Some(exported), _) => Some(Snapshot::exported(exported)?),
            (None, Some(name)) => Some(sesshu_engine::Snapshots::of(&self.store).open(name)?),
            (None, None) => None,
        };
        let bar = progress::bytes(0, "repairing");
        let repairs = Repairs { source: source.as_ref(), accept_loss: self.accept_loss };
        let mut told = |verifying: Verifying| {
            bar.set_message("verifying");
            bar.set_length(verifying.bytes_expected);
            bar.set_position(verifying.bytes);
        };
        let mut report = None;
        let mut keep = |lost: &[Loss]| {
            report = Some(self.write_report(lost)?);
            Ok(())
        };
        let repaired = repair(&self.store, repairs, &mut told, &mut keep);
        bar.finish_and_clear();
        let repaired = repaired?;
        let summary = RepairAnswer::new(&repaired, report.as_deref());
        if self.json {
            for loss in &repaired.lost {
                answer::write_line(&mut results(), &LossAnswer::from(loss))?;
            }
            for finding in &repaired.left {
                let finding = crate::answer_verify::FindingAnswer::from(verification::of_finding(finding));
                answer::write_line(&mut results(), &finding)?;
            }
            answer::write_line(&mut results(), &summary)?;
        } else {
            for file in &summary.made_again {
                writeln!(results(), "made again: {file}")?;
            }
            for file in &summary.replaced {
                writeln!(results(), "taken from the snapshot: {file}")?;
            }
            for loss in &repaired.lost {
                writeln!(results(), "gone: {}", line(loss))?;
            }
            for finding in &repaired.left {
                writeln!(results(), "left: {}", super::verify::line(verification::of_finding(finding)))?;
            }
            let left = match repaired.left.len() {
                0 => "the store is whole".to_owned(),
                1 => "1 finding is left".to_owned(),
                count => format!("{count} findings are left"),
            };
            let lost = match (&report, repaired.lost.len()) {
                (Some(report), count) => {
                    format!("; what is gone, {}, is listed in {}", table::count(count as u64), report.display())
                }
                (None, _) => String::new(),
            };
            writeln!(results(), "{left}{lost}")?;
        }
        Ok(match (repaired.left.is_empty(), repaired.lost.is_empty()) {
            (true, lost_nothing) => Done::whole_if(lost_nothing),
            (false, _) => Done::Damaged,
        })
    }

    fn write_report(&self, lost: &[Loss]) -> std::io::Result<PathBuf> {
        let path = self.report.clone().unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let time = answer::time(now.as_millis() as u64).replace(':', "");
            let mut name = self.store.file_name().unwrap_or_default().to_owned();
            name.push(format!(".lost-{time}.jsonl"));
            self.store.with_file_name(name)
        });
        let mut text = Vec::new();
        for loss in lost {
            answer::write_line(&mut text, &LossAnswer::from(loss))?;
        }
        // What an earlier list says is said nowhere else.
        let mut file = fs::File::create_new(&path)?;
        file.write_all(&text)?;
        file.sync_all()?;
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        fs::File::open(directory.unwrap_or(std::path::Path::new(".")))?.sync_all()?;
        Ok(path)
    }
}

/// What is gone, for people.
fn line(loss: &Loss) -> String {
    match LossAnswer::from(loss) {
        LossAnswer { lost: "event", sequence: Some(sequence), ticket, time, .. } => {
            let ticket = ticket.map_or("whose, nobody can say".to_owned(), |ticket| format!("of ticket {ticket}"));
            format!("event {sequence}, {ticket}, committed about {}", time.unwrap_or_default())
        }
        LossAnswer { lost: "access", sequence: Some(sequence), time, .. } => {
            format!("entry {sequence} of the access log, of about {}", time.unwrap_or_default())
        }
        LossAnswer { lost: "person", ticket: Some(ticket), .. } => {
            format!("the row and the folded shots of ticket {ticket}")
        }
        LossAnswer { lost: "shots", ticket: Some(ticket), .. } => {
            format!("the folded shots of ticket {ticket}, and of its row, which stays, the My Number and the past")
        }
        LossAnswer { lost: "people", municipality: Some(municipality), count, .. } => {
            let count = count.map_or("nobody can say how many".to_owned(), table::count);
            format!("the rows and folded shots of {count} tickets of {municipality} that nobody can name")
        }
        LossAnswer { lost: "senders", municipality: Some(municipality), .. } => {
            format!("who sent the earlier registers of {municipality}, and why")
        }
        LossAnswer { held: Some(held), .. } => format!("the held load {held}: load the register again"),
        other => other.lost.to_owned(),
    }
}
