//! What is said of a load for people.

use crate::answer_load::{Effect, HeldAnswer, LoadAnswer, SamplesAnswer};

/// Of a file: a line, and what waits below it.
pub(super) fn of(answer: &LoadAnswer) -> String {
    let (file, municipality, effect) = (&answer.file, &answer.municipality, effect(&answer.effect));
    let mut text = format!("{file}: {municipality}  {effect}\n");
    let reason = answer.reason.as_deref().unwrap_or_default();
    match (&answer.held, &answer.expires_at) {
        (Some(held), Some(expires_at)) => {
            text += &format!("  HELD, nothing is visible: {reason}\n");
            text += &samples(answer.samples.as_ref());
            text += &format!("  until {expires_at}: sesshu load --confirm {held}, or --discard {held}\n");
        }
        _ if answer.outcome == "dry_run" => {
            let would = if reason.is_empty() { "would be loaded".into() } else { format!("would be held: {reason}") };
            text += &format!("  dry run, nothing was loaded: it {would}\n");
            text += &samples(answer.samples.as_ref());
        }
        _ => {}
    }
    text
}

/// Of a load that is held.
pub(super) fn of_held(answer: &HeldAnswer) -> String {
    let HeldAnswer { held, held_at, expires_at, reason, .. } = answer;
    let reason = reason.as_deref().unwrap_or("whoever loaded it wanted it so");
    let effect = effect(&answer.effect);
    format!("{held}: {effect}\n  held since {held_at} until {expires_at}: {reason}\n{}", samples(Some(&answer.samples)))
}

/// What a load did, or would do.
pub(super) fn effect(effect: &Effect) -> String {
    let Effect { accepted, rejected, added, changed, kept, removed, .. } = effect;
    format!(
        "{accepted} accepted ({added} added, {changed} changed), {rejected} rejected ({kept} kept), {removed} removed"
    )
}

fn samples(samples: Option<&SamplesAnswer>) -> String {
    let Some(SamplesAnswer { added, changed, removed }) = samples else { return String::new() };
    let line = |what: &str, tickets: &[String]| match tickets {
        [] => String::new(),
        tickets => format!("  {what}: {} …\n", tickets.join(", ")),
    };
    line("removed, the first", removed) + &line("changed, the first", changed) + &line("added, the first", added)
}
