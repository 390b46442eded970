//! Faults that are built in on purpose (feature `mutations`): each breaks one rule, and some test must fail by it.
//!
//! Owns their names, and which of them is switched on: the one that `SESSHU_MUTATION` names. Without the feature none can be, and the compiler removes the
//! branches. What each breaks, and the test that catches it, is in `docs/durability.md`; that none survives is shown by the binary `mutations`.

use std::sync::OnceLock;

macro_rules! mutations {
    ($($mutation:ident = $name:literal),+ $(,)?) => {
        /// A rule that can be broken.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Mutation {
            $($mutation),+
        }

        /// Names as `SESSHU_MUTATION` takes them.
        #[cfg_attr(not(feature = "mutations"), allow(unreachable_pub))]
        pub const NAMES: &[&str] = &[$($name),+];

        impl Mutation {
            fn named(name: &str) -> Option<Mutation> {
                match name {
                    $($name => Some(Mutation::$mutation),)+
                    _ => None,
                }
            }
        }
    };
}

mutations! {
    AcknowledgeBeforeSync = "acknowledge-before-sync",
    ShowBeforeSync = "show-before-sync",
    ShowInstallBeforeSync = "show-install-before-sync",
    ShowChangeBeforeSync = "show-change-before-sync",
    JudgeTogether = "judge-together",
    AnswerBehindDoubt = "answer-behind-doubt",
    ActBehindFailure = "act-behind-failure",
    GoOnAfterFailedSync = "go-on-after-failed-sync",
    CloseAfterFailure = "close-after-failure",
    CloseBeforeTheEnd = "close-before-the-end",
    NeverMark = "never-mark",
    CompactHeld = "compact-held",
    ForgetNeededSegments = "forget-needed-segments",
    RemoveSegmentsEarly = "remove-segments-early",
    CutActs = "cut-acts",
    LeaveFailedSnapshot = "leave-failed-snapshot",
    RemoveWhileLinking = "remove-while-linking",
    SkipSnapshotDirectorySync = "skip-snapshot-directory-sync",
    RestoreUnverified = "restore-unverified",
    SkipExportSync = "skip-export-sync",
    ExportUnverified = "export-unverified",
    RememberAnyHash = "remember-any-hash",
    RemoveNamedCopies = "remove-named-copies",
    SkipSpareSync = "skip-spare-sync",
    SkipSegmentHeaderSync = "skip-segment-header-sync",
    SkipLogDirectorySync = "skip-log-directory-sync",
    SkipLedgerDirectorySync = "skip-ledger-directory-sync",
    SkipGenerationSync = "skip-generation-sync",
    SkipManifestSync = "skip-manifest-sync",
    KeepNoSpare = "keep-no-spare",
    SkipManifestDirectorySync = "skip-manifest-directory-sync",
    SkipCheckpointSync = "skip-checkpoint-sync",
    SkipCheckpointDirectorySync = "skip-checkpoint-directory-sync",
    TrustUnsyncedNames = "trust-unsynced-names",
    TrustUnsyncedBytes = "trust-unsynced-bytes",
    SkipRecoverySync = "skip-recovery-sync",
    LeaveTornBytes = "leave-torn-bytes",
    RemoveAnySpare = "remove-any-spare",
    IgnoreVouchedPosition = "ignore-vouched-position",
    IgnoreLaterBatches = "ignore-later-batches",
    IgnoreBreakInLog = "ignore-break-in-log",
    IgnoreNamedSegment = "ignore-named-segment",
    AcceptForeignSegment = "accept-foreign-segment",
    LetTimeGoBack = "let-time-go-back",
    AcceptNewerFormat = "accept-newer-format",
    SkipSalt = "skip-salt",
    SkipFrameChecksum = "skip-frame-checksum",
    SkipManifestChecksum = "skip-manifest-checksum",
    SkipTicketCheck = "skip-ticket-check",
    SkipTicketCheckOfEvents = "skip-ticket-check-of-events",
    SkipSectionCheck = "skip-section-check",
    SkipFileHash = "skip-file-hash",
    SkipDerivedComparison = "skip-derived-comparison",
    SkipRecount = "skip-recount",
    SkipTailComparison = "skip-tail-comparison",
    StopWalkEarly = "stop-walk-early",
    WalkIntoFolded = "walk-into-folded",
    ShowNewerEvents = "show-newer-events",
    ForgetTailAtInstall = "forget-tail-at-install",
    FoldLaterThanSeen = "fold-later-than-seen",
    ReplayFolded = "replay-folded",
    ForgetCaptureIds = "forget-capture-ids",
    ForgetWarnings = "forget-warnings",
    ForgetAmendments = "forget-amendments",
    ForgetSenders = "forget-senders",
    ForgetOlderRows = "forget-older-rows",
    TakeAnybodysShot = "take-anybody-s-shot",
    OverwriteNewer = "overwrite-newer",
    OverwriteConfirmed = "overwrite-confirmed",
    ReassignOneEnd = "reassign-one-end",
    ForgetOrphansAtFold = "forget-orphans-at-fold",
    ForgetChangesAtFold = "forget-changes-at-fold",
    ForgetLinks = "forget-links",
    ForgetLinksAtFold = "forget-links-at-fold",
    RemoveReissued = "remove-reissued",
    LinkOneEnd = "link-one-end",
    ForgetChangesInCheckpoint = "forget-changes-in-checkpoint",
    DeleteOldGenerationEarly = "delete-old-generation-early",
    WithdrawInDoubt = "withdraw-in-doubt",
    LeaveFailedLoad = "leave-failed-load",
    SkipHeldSync = "skip-held-sync",
    TrustUnsyncedHeld = "trust-unsynced-held",
    ConfirmUnverified = "confirm-unverified",
    ConfirmVoid = "confirm-void",
    CheckpointOfNoMoment = "checkpoint-of-no-moment",
    LeaveFailedCheckpoint = "leave-failed-checkpoint",
    TrustAnyCheckpoint = "trust-any-checkpoint",
    IgnoreGenerationOfCheckpoint = "ignore-generation-of-checkpoint",
    ForgetBatchOnItsWay = "forget-batch-on-its-way",
    ForgetOpenBatch = "forget-open-batch",
    ForgetShotsOnTheirWay = "forget-shots-on-their-way",
    CrowdLateWarnings = "crowd-late-warnings",
    WriteBeforeManifest = "write-before-manifest",
    RemoveBeforeManifest = "remove-before-manifest",
    PoisonWhenFull = "poison-when-full",
    RefuseToOpenWhenFull = "refuse-to-open-when-full",
    TakeMarkForRoom = "take-mark-for-room",
    TrustLookUps = "trust-look-ups",
    ForgetOverlay = "forget-overlay",
    AnswerBeforeAccessLog = "answer-before-access-log",
    TakePlaceBeforeManifest = "take-place-before-manifest",
    ForgetPreparedKey = "forget-prepared-key",
    KeepOldSeals = "keep-old-seals",
    ChangeForAnotherKey = "change-for-another-key",
    LetEverybodyWait = "let-everybody-wait",
}

/// Whether the rule is broken on purpose.
#[inline]
pub(crate) fn broken(rule: Mutation) -> bool {
    cfg!(feature = "mutations") && switched_on() == Some(rule)
}

fn switched_on() -> Option<Mutation> {
    static ON: OnceLock<Option<Mutation>> = OnceLock::new();
    *ON.get_or_init(|| {
        let name = std::env::var("SESSHU_MUTATION").ok()?;
        Some(Mutation::named(&name).unwrap_or_else(|| panic!("SESSHU_MUTATION={name} is none of {NAMES:?}")))
    })
}
