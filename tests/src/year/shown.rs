//! What the store shows, in the form in which it is compared: without the words of warnings, which are made when they are shown.

use sesshu_engine::Known;
use sesshu_proto::v1::{PastEvent, RecordedShot, Shot};

use crate::Answer;

fn without_reasons(mut shot: Shot) -> Shot {
    shot.warnings.iter_mut().for_each(|warning| warning.reason.clear());
    shot
}

pub(super) fn without_reasons_in(shot: RecordedShot) -> RecordedShot {
    RecordedShot { shot: shot.shot.map(without_reasons), ..shot }
}

pub(super) fn without_reasons_in_event(event: PastEvent) -> PastEvent {
    PastEvent { shot: event.shot.map(without_reasons), ..event }
}

pub(super) fn without_reasons_in_answer(answer: Answer) -> Answer {
    let plain = |shots: Vec<RecordedShot>| shots.into_iter().map(without_reasons_in).collect();
    match answer {
        Answer::Matched(resident, shots) => Answer::Matched(resident, plain(shots)),
        Answer::Orphan(shots) => Answer::Orphan(plain(shots)),
        other => other,
    }
}

/// What was known, as an answer.
pub(super) fn known(known: Option<Known>) -> Answer {
    let Some(Known { resident, shots, .. }) = known else { return Answer::NotFound };
    let answer = match resident {
        Some(resident) => Answer::Matched(Box::new(resident), shots),
        None => Answer::Orphan(shots),
    };
    without_reasons_in_answer(answer)
}
