//! What programs read of verifying.
//!
//! Owns the field names and texts, as `answer` does of everything else.

use serde::Serialize;
use sesshu_proto::v1::{Finding, Remedy, VerifySummary};

/// Something that is wrong with a store.
#[derive(Debug, Serialize)]
pub struct FindingAnswer {
    /// Relative to the store.
    pub file: String,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Six digits; of the ledger whose file it is.
    pub municipality: Option<String>,
    /// Which check failed.
    pub what: String,
    /// Tickets that cannot be answered, or not wholly; of a log, events that are gone. `None`: nobody can say.
    pub tickets: Option<u64>,
    /// `rebuild` or `replace`.
    pub remedy: &'static str,
}

impl From<Finding> for FindingAnswer {
    fn from(finding: Finding) -> FindingAnswer {
        let remedy = match finding.remedy() {
            Remedy::Rebuild => "rebuild",
            Remedy::Replace | Remedy::Unspecified => "replace",
        };
        FindingAnswer {
            municipality: (finding.municipality != 0).then(|| format!("{:06}", finding.municipality)),
            file: finding.file,
            offset: finding.offset,
            what: finding.what,
            tickets: finding.tickets,
            remedy,
        }
    }
}

/// What verifying a store came to.
#[derive(Debug, Serialize)]
pub struct VerifySummaryAnswer {
    /// How many there are.
    pub findings: u64,
    /// Files that were read.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Tickets that the generations have an entry of.
    pub tickets: u64,
    /// Events of the log.
    pub events: u64,
    /// The newest of them.
    pub sequence: u64,
    /// Bytes behind the end of the log that nobody was told of: no damage.
    pub torn_bytes: u64,
}

impl From<VerifySummary> for VerifySummaryAnswer {
    fn from(summary: VerifySummary) -> VerifySummaryAnswer {
        let VerifySummary { findings, files, bytes, tickets, events, sequence, torn_bytes } = summary;
        VerifySummaryAnswer { findings, files, bytes, tickets, events, sequence, torn_bytes }
    }
}
