//! The faults that are built into the engine, the rule that each breaks, and the test that must notice.
//!
//! Owns this table, which is the one in `docs/durability.md`. What a fault does stands where the engine asks for it: look for its name in
//! `engine/src/mutation.rs`.

use std::fmt;

/// A fault of the engine.
pub(crate) struct Mutation {
    /// As `SESSHU_MUTATION` takes it.
    pub(crate) name: &'static str,
    /// The rule that it breaks.
    pub(crate) breaks: &'static str,
    /// Each of them must fail by it.
    pub(crate) tests: &'static [Named],
}

/// A test: file and function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Named {
    pub(crate) file: &'static str,
    pub(crate) name: &'static str,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in `tests/{}.rs`", self.name, self.file)
    }
}

// Laid out by hand: a line for the rule, a line for each test.
macro_rules! faults {
    ($($name:literal breaks $breaks:literal: $($file:ident::$test:ident),+;)*) => {
        /// In the order of a shot's and a register's way: written, opened, read, folded, kept.
        pub(crate) const MUTATIONS: &[Mutation] = &[$(Mutation {
            name: $name,
            breaks: $breaks,
            tests: &[$(Named { file: stringify!($file), name: stringify!($test) }),+],
        }),*];
    };
}

faults! {
    "acknowledge-before-sync" breaks "a batch is synced before it is acknowledged":
        power::acknowledged_shots_survive_a_cut_at_once_also_between_segments;
    "show-before-sync" breaks "a shot is shown only when it is durable":
        power::a_failed_sync_or_write_of_the_log_ends_all_writing;
    "show-install-before-sync" breaks "a register is shown only when its install is durable":
        power::a_load_whose_sync_fails_changes_nothing_and_can_be_repeated;
    "show-change-before-sync" breaks "a changed row is shown only when it is durable":
        change::a_change_whose_sync_fails_is_in_doubt_and_shows_nothing;
    "judge-together" breaks "an act sees what every act before it did":
        reissue::changes_of_one_person_see_each_other_by_whichever_number_they_come;
    "answer-behind-doubt" breaks "behind an act in doubt nothing is said of any other":
        amend::behind_an_act_in_doubt_nothing_is_said_of_any_other;
    "act-behind-failure" breaks "behind an act that found no room, none of its call is done":
        full_disk::behind_an_act_that_found_no_room_none_of_its_call_is_done;
    "go-on-after-failed-sync" breaks "a failed sync is never repeated":
        power::a_failed_sync_or_write_of_the_log_ends_all_writing;
    "close-after-failure" breaks "after a failure of the log nobody writes down where it ends":
        power::a_failed_sync_or_write_of_the_log_ends_all_writing;
    "close-before-the-end" breaks "a store that is closed writes down where its log ends":
        log::a_store_that_began_a_segment_in_vain_is_found_closed;
    "never-mark" breaks "the last batch is vouched for too, once nothing else comes":
        log::an_idle_store_vouches_for_its_last_batch;
    "cut-acts" breaks "a restore has both events of an act, or neither":
        restore::a_store_is_restored_as_of_any_event_of_the_window_and_an_act_is_there_whole_or_not_at_all;
    "restore-unverified" breaks "a restore begins when every file of the snapshot is what it was":
        restore::damage_of_any_file_is_found_before_anything_is_made;
    "remove-named-copies" breaks "a restore that failed takes back its manifest before the files that it names":
        restore::a_restore_that_fails_leaves_room_for_the_next_one;
    "remove-while-linking" breaks "no file goes while a snapshot links what a view shows":
        linking::no_file_goes_while_a_snapshot_links_what_a_view_shows;
    "leave-failed-snapshot" breaks "a snapshot that failed is none":
        snapshot::a_snapshot_that_fails_leaves_nothing_and_the_next_one_is_made;
    "skip-snapshot-directory-sync" breaks "the names of a snapshot's files are synced before it is one":
        snapshot::a_snapshot_that_was_made_outlasts_the_power_and_a_deleted_one_does_not_come_back;
    "remember-any-hash" breaks "a restored store knows the BLAKE3s of its own generations":
        restore::a_restored_store_is_the_original_at_that_moment_and_then_a_store_of_its_own;
    "export-unverified" breaks "an exported file has its name when it is what it was":
        snapshot::what_is_damaged_is_not_exported_and_nothing_is_exported_over_anything;
    "skip-export-sync" breaks "an exported file is synced before it has its name":
        snapshot::an_export_that_is_cut_short_anywhere_goes_on_and_never_passes_for_whole;
    "skip-spare-sync" breaks "a segment's zeros are durable before it has a header":
        log::a_segment_whose_making_was_cut_is_no_obstacle,
        log::what_fails_while_a_segment_is_prepared_is_nobody_s_shot;
    "skip-segment-header-sync" breaks "a segment's header is durable before anything names the segment":
        power::acknowledged_shots_and_registers_survive_a_cut_after_any_operation;
    "skip-log-directory-sync" breaks "a segment's name is durable before it is used":
        power::acknowledged_shots_and_registers_survive_a_cut_after_any_operation;
    "skip-ledger-directory-sync" breaks "a generation's name is durable before the log names it":
        power::acknowledged_shots_and_registers_survive_a_cut_after_any_operation;
    "skip-generation-sync" breaks "a generation's bytes are durable before the log names it":
        power::acknowledged_shots_and_registers_survive_a_cut_after_any_operation;
    "skip-manifest-sync" breaks "a manifest's bytes are durable before it has its name":
        power::acknowledged_shots_and_registers_survive_a_cut_after_any_operation;
    "keep-no-spare" breaks "a manifest that is damaged can be made of the one before it":
        repair::a_manifest_is_made_of_the_one_before_it_and_the_log;
    "skip-manifest-directory-sync" breaks "a manifest's name is durable before anything is removed":
        power::acknowledged_shots_and_registers_survive_a_cut_after_any_operation;
    "skip-checkpoint-sync" breaks "a checkpoint's bytes are durable before the manifest names it":
        power::a_checkpoint_that_was_written_survives_a_cut;
    "skip-checkpoint-directory-sync" breaks "a checkpoint's name is durable before the manifest names it":
        power::a_checkpoint_that_was_written_survives_a_cut;
    "trust-unsynced-names" breaks "a manifest that was read is durable before anything is built on it":
        power::what_a_killed_program_left_survives_a_cut_after_any_operation_of_the_next;
    "trust-unsynced-bytes" breaks "what was read at open is written again: after a failed sync the cache shows what no disk has":
        power::a_failed_sync_or_write_of_the_log_ends_all_writing;
    "skip-recovery-sync" breaks "what was read at open is synced before it is shown":
        power::what_an_opened_store_shows_survives_a_cut;
    "leave-torn-bytes" breaks "torn bytes are wiped":
        recovery::a_changed_byte_costs_at_most_the_last_batch_if_nothing_vouches_for_it;
    "remove-any-spare" breaks "a segment whose header is gone is no spare":
        log::a_segment_whose_header_is_gone_is_no_spare_though_no_manifest_names_it;
    "ignore-vouched-position" breaks "what the manifest vouches for is there":
        recovery::a_closed_log_is_whole_or_refused;
    "ignore-later-batches" breaks "what a later batch or mark vouches for is there":
        recovery::a_changed_byte_costs_at_most_the_last_batch_if_nothing_vouches_for_it;
    "ignore-break-in-log" breaks "what a later segment vouches for is there":
        recovery::a_later_segment_vouches_for_the_one_before_it;
    "ignore-named-segment" breaks "a segment that the manifest names is there":
        recovery::a_missing_file_is_told;
    "accept-foreign-segment" breaks "a segment of another store is no part of this one's log":
        log::a_segment_of_a_store_that_did_the_same_is_told;
    "let-time-go-back" breaks "commit times never go back, whatever the clock does":
        log::a_clock_that_goes_back_does_no_harm;
    "accept-newer-format" breaks "a file of a newer format is refused as such":
        open::a_manifest_of_a_newer_format_is_refused_as_such,
        open::a_log_segment_of_a_newer_format_is_refused_as_such,
        open::a_generation_of_a_newer_format_is_refused_as_such;
    "skip-salt" breaks "bytes of another file, place or time do not validate":
        log::a_batch_of_a_store_that_did_the_same_does_not_validate;
    "skip-frame-checksum" breaks "a value is returned only after its checksum matched":
        damage::no_changed_byte_of_a_generation_changes_an_answer,
        recovery::an_event_that_is_damaged_while_the_store_is_open_is_never_shown;
    "skip-manifest-checksum" breaks "a manifest is used only after its checksum matched":
        damage::no_changed_byte_of_the_manifest_changes_the_store;
    "skip-ticket-check" breaks "an entry is returned only for its own ticket":
        damage::an_index_that_leads_astray_leads_to_nobody;
    "skip-ticket-check-of-events" breaks "an event is returned only for its own ticket":
        damage::a_checkpoint_that_leads_astray_leads_to_nobody;
    "skip-section-check" breaks "index, look-ups and dictionary are used only after their checksums matched":
        damage::no_changed_byte_of_a_generation_changes_an_answer;
    "skip-file-hash" breaks "verifying compares the BLAKE3 of a generation":
        verify::no_changed_byte_of_a_generation_goes_unnoticed_and_one_of_an_entry_concerns_its_ticket_alone;
    "skip-derived-comparison" breaks "verifying makes index, look-ups and order of kana again, and compares":
        verify::what_was_written_wrong_is_found_though_every_checksum_is_right;
    "skip-recount" breaks "verifying counts a generation's entries again":
        verify::what_was_written_wrong_is_found_though_every_checksum_is_right;
    "skip-tail-comparison" breaks "verifying compares the tails with a recount of the log":
        verify::what_was_written_wrong_is_found_though_every_checksum_is_right;
    "stop-walk-early" breaks "a ticket has all its events":
        views::a_view_shows_nothing_newer_and_loses_nothing_while_the_log_grows;
    "walk-into-folded" breaks "an event that is folded is not told twice":
        load::shots_recorded_while_registers_are_loaded_are_there_at_once_and_for_good;
    "show-newer-events" breaks "a view shows one moment":
        views::a_view_shows_nothing_newer_and_loses_nothing_while_the_log_grows;
    "forget-tail-at-install" breaks "what a new generation does not fold stays in the tail":
        load::shots_recorded_between_the_fold_and_its_install_stay;
    "fold-later-than-seen" breaks "a generation folds only what its builder saw":
        load::shots_recorded_between_the_fold_and_its_install_stay;
    "replay-folded" breaks "what a generation folds is not counted again at replay":
        load::a_crash_changes_no_count;
    "forget-capture-ids" breaks "capture ids are folded with their shots":
        idempotency::a_capture_id_counts_once_across_batches_restarts_and_folds;
    "forget-amendments" breaks "a fold keeps all that became of a shot":
        amend::a_correction_is_seen_with_what_was_before_whatever_comes;
    "forget-senders" breaks "a fold keeps who sent a row, and why":
        known_at::a_row_keeps_who_sent_it_and_why;
    "forget-older-rows" breaks "a fold keeps the rows that a ticket had":
        known_at::what_was_known_is_what_was_shown_whatever_came_after;
    "take-anybody-s-shot" breaks "what stands for a ticket takes only shots of its person":
        provisional::what_stands_for_a_ticket_takes_only_shots_of_its_person;
    "overwrite-newer" breaks "whoever does not know a shot as it is changes nothing":
        amend::whoever_does_not_know_the_shot_as_it_is_is_told_and_changes_nothing;
    "overwrite-confirmed" breaks "a confirmed shot is changed by nobody below its level":
        amend::a_confirmed_shot_is_changed_by_nobody_below_and_what_they_write_is_held;
    "reassign-one-end" breaks "a shot is on one ticket at a time":
        amend::a_reassigned_shot_is_on_one_ticket_at_a_time_and_keeps_its_name;
    "forget-warnings" breaks "warnings are folded with their shots":
        warnings::a_shot_that_is_recorded_again_is_warned_of_as_it_was;
    "forget-orphans-at-fold" breaks "no shot is lost by a fold, row or not":
        orphans::an_orphan_matches_when_its_row_arrives;
    "forget-changes-at-fold" breaks "a changed row is folded as it was changed":
        change::a_change_is_seen_at_once_and_after_a_kill_a_fold_and_a_close;
    "forget-links" breaks "a reissued ticket and the one that replaced it match to one person":
        reissue::both_numbers_match_to_the_person_with_all_shots_and_stay_so;
    "forget-links-at-fold" breaks "a register does not part the tickets of a person":
        reissue::both_numbers_match_to_the_person_with_all_shots_and_stay_so;
    "remove-reissued" breaks "a person whom a register has under another number is not removed":
        reissue::both_numbers_match_to_the_person_with_all_shots_and_stay_so;
    "link-one-end" breaks "a link has both ends or none":
        reissue::a_link_has_both_ends_or_none_wherever_the_disk_stops;
    "forget-changes-in-checkpoint" breaks "a changed row is found by its resident number, also after an open":
        change::a_resident_number_is_found_after_a_change_and_after_a_checkpoint;
    "delete-old-generation-early" breaks "a generation stays until a durable manifest names its successor":
        power::acknowledged_shots_and_registers_survive_a_cut_after_any_operation;
    "withdraw-in-doubt" breaks "a generation that the log may name stays":
        power::a_load_whose_sync_fails_changes_nothing_and_can_be_repeated;
    "leave-failed-load" breaks "a load that fails leaves nothing in the way of the next":
        power::a_load_whose_sync_fails_changes_nothing_and_can_be_repeated;
    "skip-held-sync" breaks "a load is said to be held when its file is durable":
        held_power::a_load_that_was_said_to_be_held_is_held_after_a_cut_after_any_operation;
    "trust-unsynced-held" breaks "held loads are, and are not, what an opened store shows, for good":
        held_power::a_load_that_was_said_to_be_discarded_does_not_come_back;
    "confirm-unverified" breaks "a held load is installed only as it was built":
        held::no_changed_byte_of_a_held_load_is_ever_installed;
    "confirm-void" breaks "a load that is installed makes a held one void":
        held::a_load_that_is_installed_makes_a_held_one_void;
    "compact-held" breaks "a compaction does not make a held load void":
        compact::a_load_that_is_held_or_under_way_comes_first;
    "forget-needed-segments" breaks "a segment of the log stays as long as a tail needs it":
        trim::a_segment_stays_as_long_as_any_tail_has_an_event_in_it;
    "remove-segments-early" breaks "a segment of the log goes when a durable manifest needs it no longer":
        trim::no_segment_goes_before_a_durable_manifest_says_that_nothing_needs_it;
    "checkpoint-of-no-moment" breaks "a checkpoint holds one moment":
        checkpoint::a_checkpoint_is_of_one_moment_while_shots_are_recorded;
    "trust-any-checkpoint" breaks "a checkpoint is used only if it is the one that the manifest names":
        damage::no_changed_byte_of_a_checkpoint_changes_the_store;
    "ignore-generation-of-checkpoint" breaks "a checkpoint's tail loses what a newer generation folds":
        checkpoint::registers_that_were_installed_after_a_checkpoint_fold_what_it_holds;
    "forget-batch-on-its-way" breaks "a repetition of what is being written counts once":
        idempotency::a_repetition_counts_once_while_the_first_is_on_its_way;
    "forget-shots-on-their-way" breaks "a shot is compared with those that are recorded at the same time":
        warnings::shots_of_one_batch_are_compared_with_each_other,
        warnings::shots_on_their_way_are_compared_with_each_other;
    "crowd-late-warnings" breaks "a batch has room for warnings that turn up late":
        warnings::warnings_that_turn_up_late_have_room_however_many_there_are;
    "forget-open-batch" breaks "a repetition within a batch counts once":
        idempotency::one_batch_holds_a_conflicting_capture_id_once;
    "write-before-manifest" breaks "on a disk that was full at open the manifest comes before the log":
        full_disk::a_store_whose_disk_becomes_full_while_it_opens_loses_nothing;
    "remove-before-manifest" breaks "nothing that the durable manifest names is removed":
        power::an_open_on_a_full_disk_removes_nothing_that_the_manifest_names;
    "poison-when-full" breaks "a full disk refuses shots until there is room, and no longer":
        power::a_full_disk_refuses_shots_and_loses_none;
    "refuse-to-open-when-full" breaks "a store opens on a full disk, to be read":
        full_disk::a_store_on_a_full_disk_opens_read_only_and_goes_on_when_there_is_room;
    "leave-failed-checkpoint" breaks "a checkpoint that finds no room gives back what it took":
        full_disk::a_checkpoint_that_finds_no_room_leaves_none_taken;
    "take-mark-for-room" breaks "a full disk is full until an event finds room":
        full_disk::a_store_that_fills_its_disk_stays_read_only_while_it_marks_its_log;
    "trust-look-ups" breaks "whoever is found has what was asked for, now":
        find::a_changed_row_is_found_by_what_it_says_now_and_not_by_what_it_said;
    "forget-overlay" breaks "a row that changed is found by what it says now":
        find::a_changed_row_is_found_by_what_it_says_now_and_not_by_what_it_said;
    "answer-before-access-log" breaks "who looked up a My Number is on disk before the answer leaves":
        access::no_answer_leaves_before_its_entry_is_durable,
        access::every_answer_is_in_the_access_log_after_a_cut_at_any_operation;
    "take-place-before-manifest" breaks "a key stays until the manifest names its successor":
        rotate::a_rotation_that_is_cut_at_any_operation_leaves_the_key_that_the_manifest_names;
    "forget-prepared-key" breaks "a rotation that is tried again takes the key that the one before it prepared":
        rotate::a_rotation_that_fails_and_is_tried_again_leaves_the_key_that_the_manifest_names_wherever_it_is_cut;
    "keep-old-seals" breaks "a fold seals every My Number with the newest data key":
        rotate::a_new_data_key_comes_in_as_ledgers_are_folded;
    "change-for-another-key" breaks "a row that is applied again after a rotation is unchanged":
        rotate::a_row_that_is_applied_again_under_a_newer_data_key_is_unchanged,
        simulation::a_simulated_store_holds_what_a_model_holds;
    "let-everybody-wait" breaks "a full queue says so at once":
        acknowledged::a_full_queue_says_so_at_once_and_what_waits_in_it_is_recorded;
}

/// The table as a document shows it.
pub(crate) fn markdown() -> String {
    let mut table = String::from("| mutation | the rule that it breaks | caught by |\n|---|---|---|\n");
    for Mutation { name, breaks, tests } in MUTATIONS {
        let tests: Vec<String> = tests.iter().map(Named::to_string).collect();
        table.push_str(&format!("| `{name}` | {breaks} | {} |\n", tests.join(", ")));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn file(name: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace");
        fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    #[test]
    fn every_fault_of_the_engine_is_in_the_table_and_has_a_test() {
        let source = file("engine/src/mutation.rs");
        let named = source.lines().filter_map(|line| line.trim().strip_suffix("\",")?.split_once(" = \""));
        let built_in: BTreeSet<&str> = named.map(|(_, name)| name).collect();
        let listed: BTreeSet<&str> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
        assert_eq!(listed, built_in);
        assert_eq!(listed.len(), MUTATIONS.len(), "none is there twice");
        for Mutation { name, tests, .. } in MUTATIONS {
            assert!(!tests.is_empty(), "{name} has no test");
            for test in *tests {
                let source = file(&format!("tests/{}.rs", test.file));
                assert!(source.contains(&format!("fn {}()", test.name)), "{name}: there is no {test}");
            }
        }
    }

    #[test]
    fn the_document_shows_this_table() {
        let document = file("docs/durability.md");
        assert!(document.contains(&markdown()), "put what `mutations --list` prints into docs/durability.md");
    }
}
