//! `sesshu load --held`, `--confirm`, `--discard`: what becomes of loads that wait.

use std::io::Write as _;

use sesshu_engine::HeldId;

use super::text;
use crate::answer;
use crate::answer_load::{Effect, HeldAnswer, HeldEndedAnswer};
use crate::cli::results::results;
use crate::cli::target::Target;
use crate::failure::{Done, Failure};

/// What is asked.
pub(super) enum Asked {
    List,
    Confirm(HeldId),
    Discard(HeldId),
}

impl Asked {
    /// None if files are to be loaded.
    pub(super) fn of(confirm: Option<&str>, discard: Option<&str>, list: bool) -> Result<Option<Asked>, Failure> {
        Ok(match (confirm, discard) {
            (Some(id), _) => Some(Asked::Confirm(HeldId::parse(id)?)),
            (None, Some(id)) => Some(Asked::Discard(HeldId::parse(id)?)),
            (None, None) => list.then_some(Asked::List),
        })
    }

    pub(super) fn run(self, target: &Target, json: bool) -> Result<Done, Failure> {
        let backend = target.open(false)?;
        let ended = |id: HeldId, outcome, effect| HeldEndedAnswer {
            held: id.to_string(),
            municipality: id.municipality().to_string(),
            outcome,
            effect,
        };
        let mut lines = Vec::new();
        match self {
            Asked::List => {
                for held in backend.held()?.into_iter().map(HeldAnswer::from) {
                    tell(&mut lines, json, &held, || text::of_held(&held))?;
                }
            }
            Asked::Confirm(id) => {
                let effect = Effect::from(&backend.confirm(id)?);
                let line = format!("{id}: confirmed, visible now: {}\n", text::effect(&effect));
                tell(&mut lines, json, &ended(id, "loaded", Some(effect)), || line)?;
            }
            Asked::Discard(id) => {
                backend.discard(id)?;
                tell(&mut lines, json, &ended(id, "discarded", None), || format!("{id}: discarded\n"))?;
            }
        }
        results().write_all(&lines)?;
        backend.close()?;
        Ok(Done::Whole)
    }
}

fn tell(
    lines: &mut Vec<u8>,
    json: bool,
    object: &impl serde::Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if json {
        answer::write_line(lines, object)?;
    } else {
        lines.extend_from_slice(text().as_bytes());
    }
    Ok(())
}
