//! What fuzzing found to hold of bytes that nobody wrote still holds: a smoke run of every fuzz target of the engine.
//!
//! The properties are the engine's own (`sesshu_engine::fuzzing`) and the corpora are those of `fuzz/`. The CSV reader's run is in `server/tests/fuzz`.

use sesshu_engine::fuzzing;
use sesshu_tests::corpus::smoke;

#[test]
fn a_frame_is_decoded_as_it_was_encoded_or_refused_for_a_reason() {
    smoke("frame", 20_000, fuzzing::frame);
}

#[test]
fn a_log_of_any_bytes_gives_its_whole_batches_or_is_refused_unchanged() {
    smoke("log", 2_000, fuzzing::log);
}

#[test]
fn a_generation_of_any_bytes_answers_each_ticket_with_its_own_or_with_damage() {
    smoke("generation", 10_000, fuzzing::generation);
}

#[test]
fn a_checkpoint_of_any_bytes_changes_no_answer_unless_the_manifest_vouches_for_it() {
    smoke("checkpoint", 2_000, fuzzing::checkpoint);
}

#[test]
fn a_store_with_a_manifest_of_any_bytes_opens_again_or_is_refused_unchanged() {
    smoke("manifest", 2_000, fuzzing::manifest);
}

#[test]
fn a_held_load_of_any_bytes_is_held_or_not_and_nothing_else_changes() {
    smoke("held", 2_000, fuzzing::held);
}

#[test]
fn a_ticket_line_that_is_read_prints_its_digits() {
    smoke("ticket_line", 50_000, fuzzing::ticket_line);
}
