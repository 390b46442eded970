//! Verifying a store, for the command and for the server: the same replies from an open store and from one that nobody has open.
//!
//! Owns the messages of it.

use std::num::NonZeroU64;
use std::ops::ControlFlow;

use sesshu_engine::error::OpenError;
use sesshu_engine::{ClosedStore, Finding, Remedy, Store, Verified, Verifying};
use sesshu_proto::v1::verify_reply::What;
use sesshu_proto::v1::{
    Finding as FindingMessage, Remedy as RemedyMessage, VerifyProgress, VerifyReply, VerifyRequest, VerifySummary,
};

/// Whom to tell; it may end the work.
pub type Tell<'a> = dyn FnMut(VerifyReply) -> ControlFlow<()> + Send + 'a;

/// Verifies an open store while it goes on.
///
/// # Errors
///
/// [`OpenError`], if a directory cannot be listed. What is wrong with files is told.
pub fn verify(store: &Store, request: &VerifyRequest, tell: &mut Tell<'_>) -> Result<(), OpenError> {
    let limit = NonZeroU64::new(request.bytes_per_second);
    let verified = store.verify(limit, &mut |verifying| tell(of(What::Progress(of_progress(verifying)))))?;
    tell_of(verified, tell);
    Ok(())
}

/// Verifies a store that nobody has open.
///
/// # Errors
///
/// As [`verify`]; [`OpenError::Newer`].
pub fn verify_closed(store: &ClosedStore, tell: &mut Tell<'_>) -> Result<(), OpenError> {
    let verified = store.verify(&mut |verifying| tell(of(What::Progress(of_progress(verifying)))))?;
    tell_of(verified, tell);
    Ok(())
}

fn tell_of(verified: Option<Verified>, tell: &mut Tell<'_>) {
    // Whoever ended it needs no summary.
    let Some(verified) = verified else { return };
    let findings = verified.findings.iter().map(|finding| What::Finding(of_finding(finding)));
    for what in findings.chain([What::Summary(of_verified(&verified))]) {
        if tell(of(what)).is_break() {
            return;
        }
    }
}

fn of(what: What) -> VerifyReply {
    VerifyReply { what: Some(what) }
}

/// How far it has come, as it travels.
#[must_use]
pub fn of_progress(Verifying { bytes, bytes_expected }: Verifying) -> VerifyProgress {
    VerifyProgress { bytes, bytes_expected }
}

/// A finding, as it travels.
#[must_use]
pub fn of_finding(Finding { damage, tickets, remedy }: &Finding) -> FindingMessage {
    let remedy = match remedy {
        Remedy::Rebuild => RemedyMessage::Rebuild,
        Remedy::Replace => RemedyMessage::Replace,
    };
    FindingMessage {
        file: damage.file.display().to_string(),
        offset: damage.offset,
        municipality: damage.municipality.map_or(0, |municipality| municipality.code()),
        what: damage.what.to_owned(),
        tickets: *tickets,
        remedy: remedy.into(),
    }
}

/// What it came to, as it travels.
#[must_use]
pub fn of_verified(verified: &Verified) -> VerifySummary {
    VerifySummary {
        findings: verified.findings.len() as u64,
        files: verified.files,
        bytes: verified.bytes,
        tickets: verified.tickets,
        events: verified.events,
        sequence: verified.sequence,
        torn_bytes: verified.torn_bytes,
    }
}
