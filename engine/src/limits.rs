//! Every limit of the store in one place, with compile-time checks of how they relate.
//!
//! Field lengths are those of the national system's formats; sizes of files and batches are the store's own.

/// 宛名番号.
pub const RESIDENT_NUMBER_CHARACTERS_MAX: usize = 15;
/// 氏名 and 氏名カナ.
pub const NAME_CHARACTERS_MAX: usize = 60;
/// 接種回数.
pub const DOSE_MAX: u32 = 99;
/// メーカー.
pub const VACCINE_CHARACTERS_MAX: usize = 20;
/// ロット番号.
pub const LOT_CHARACTERS_MAX: usize = 20;
/// 会場名.
pub const VENUE_CHARACTERS_MAX: usize = 30;
/// 医療機関コード.
pub const INSTITUTION_DIGITS: usize = 10;
/// 医師名.
pub const DOCTOR_CHARACTERS_MAX: usize = 20;
/// 読取ID.
pub const CAPTURE_ID_CHARACTERS_MAX: usize = 40;
/// Who recorded a shot.
pub const RECORDED_BY_CHARACTERS_MAX: usize = 40;

/// Why a shot was set right.
pub const REASON_CHARACTERS_MAX: usize = 100;

/// The name of a rule that shots are checked against.
pub const RULE_NAME_BYTES_MAX: usize = 24;

/// Devices whose last scan is remembered.
pub const DEVICES_MAX: usize = 64 << 10;

/// Bytes of a shot's warnings, as they are stored, at most.
pub const WARNINGS_BYTES_MAX: usize = 256;

/// People elsewhere who are shown of one: where more have the same My Number, it is a mistake of the registers.
pub const ELSEWHERE_MAX: usize = 100;

/// What a My Number was looked up for, and who asked, in the access log.
pub const ACCESS_PURPOSE_CHARACTERS_MAX: usize = 200;
/// See [`ACCESS_PURPOSE_CHARACTERS_MAX`].
pub const ACCESS_WHO_CHARACTERS_MAX: usize = 100;

/// Bytes of one frame, header included: a length beyond it is damage. An entry of this size holds half a million shots of one ticket.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bytes of one batch of the log, header included: what one group commit writes at most.
pub const BATCH_BYTES_MAX: usize = 224 << 10;

/// Bytes of a batch that are kept for warnings which turn up when a shot gets its place: one command's at their most.
pub const LATE_WARNINGS_BYTES: usize = COMMAND_SHOTS_MAX * WARNINGS_BYTES_MAX;

/// Bytes of the smallest log segment, so that an empty store is small.
pub const SEGMENT_BYTES_MIN: u64 = 256 << 10;

/// Bytes of the largest log segment.
pub const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// Bytes at the start of a segment and of a generation that hold the header, twice.
pub const FILE_HEADER_BYTES: u64 = 8 << 10;

/// Bytes of log after which the next checkpoint is written: what an open reads at most, beside what was written meanwhile.
pub const CHECKPOINT_LOG_BYTES: u64 = 64 << 20;

/// Shots in one command to the committer. A larger batch of the caller's is taken in parts.
pub const COMMAND_SHOTS_MAX: usize = 128;

/// Shots that wait for the committer at most; a full queue answers "retry".
pub const QUEUE_SHOTS_MAX: usize = 64 << 10;

/// Bytes of a shot's frame in the log at most: every text at its longest, four bytes a character, for whom it was if there was no ticket, and the warnings.
pub const SHOT_FRAME_BYTES_MAX: usize = 1 << 10 | 1 << 8;

/// Bytes of an amendment's frame in the log at most: a shot, who, and why.
pub const AMENDMENT_FRAME_BYTES_MAX: usize = SHOT_FRAME_BYTES_MAX + 768;

/// Amendments in one command to the committer.
pub const COMMAND_AMENDMENTS_MAX: usize = 32;

/// Bytes of a changed row's frame in the log at most: every text at its longest, four bytes a character, with who sent it and why.
pub const CHANGE_FRAME_BYTES_MAX: usize = 1 << 10 | 1 << 9;

/// Bytes of a generation file: what an entry address of 30 bits in units of 8 bytes reaches.
pub const GENERATION_BYTES_MAX: u64 = 8 << 30;

/// Bytes of one write of a long file: whole huge pages, which a file is held in only if its writes are as long as they are.
pub const FILE_CHUNK_BYTES: usize = 4 << 20;

/// Ticket numbers of each kind that are shown of what a load does.
pub const SAMPLES_MAX: usize = 5;

/// Tickets that a batched match looks up side by side.
pub const MATCH_GROUP_TICKETS: usize = 16;

const _: () = {
    let texts = VACCINE_CHARACTERS_MAX
        + LOT_CHARACTERS_MAX
        + VENUE_CHARACTERS_MAX
        + DOCTOR_CHARACTERS_MAX
        + RECORDED_BY_CHARACTERS_MAX
        + NAME_CHARACTERS_MAX;
    // Frame header, previous address, tags and numbers, ASCII fields.
    assert!(
        texts * 4 + 40 + 64 + INSTITUTION_DIGITS + CAPTURE_ID_CHARACTERS_MAX + WARNINGS_BYTES_MAX
            <= SHOT_FRAME_BYTES_MAX
    );
    // Tags and numbers.
    assert!(
        (REASON_CHARACTERS_MAX + RECORDED_BY_CHARACTERS_MAX) * 4 + CAPTURE_ID_CHARACTERS_MAX + 80
            <= AMENDMENT_FRAME_BYTES_MAX - SHOT_FRAME_BYTES_MAX
    );
    // A reassignment is two events.
    assert!(COMMAND_AMENDMENTS_MAX * 2 * AMENDMENT_FRAME_BYTES_MAX + 4096 <= BATCH_BYTES_MAX);
    // Frame header, previous address, tags and numbers, the sealed My Number.
    let row = 2 * NAME_CHARACTERS_MAX + RESIDENT_NUMBER_CHARACTERS_MAX;
    let sender = REASON_CHARACTERS_MAX + RECORDED_BY_CHARACTERS_MAX;
    assert!((row + sender) * 4 + 40 + 64 + 32 <= CHANGE_FRAME_BYTES_MAX);
    assert!(COMMAND_SHOTS_MAX * CHANGE_FRAME_BYTES_MAX + 4096 <= BATCH_BYTES_MAX);
    assert!(COMMAND_SHOTS_MAX * SHOT_FRAME_BYTES_MAX + 4096 <= BATCH_BYTES_MAX);
    assert!(LATE_WARNINGS_BYTES + COMMAND_SHOTS_MAX * SHOT_FRAME_BYTES_MAX + 4096 <= BATCH_BYTES_MAX);
    // And the mark behind the batch.
    assert!(BATCH_BYTES_MAX as u64 + FILE_HEADER_BYTES + 64 <= SEGMENT_BYTES_MIN);
    assert!(SEGMENT_BYTES_MIN <= SEGMENT_BYTES_MAX);
    assert!(COMMAND_SHOTS_MAX <= QUEUE_SHOTS_MAX);
};
