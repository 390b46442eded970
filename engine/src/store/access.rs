//! The access log: who looked whom up across municipalities, and for what.
//!
//! Owns the second log of the store, `access/0000000000000001.log`: segments, batches and recovery are those of the log, on a disk where one directory stands
//! for the other. An entry is durable before the answer that it tells of leaves; where it cannot be made so, there is no answer. It holds a keyed hash of the
//! My Number and never the number.
//!
//! The log is opened by the first question. From then on the manifest says so, and vouches for what was there; when the store is closed, for all of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message as _;
use sesshu_proto::v1::{AccessEntry, AccessLog as AccessLogMessage};

use super::{Shared, Store, lock};
use crate::disk::{Disk, Instead, exchanged};
use crate::error::{AccessError, Damage, OpenError, SnapshotError};
use crate::frame::kind;
use crate::intake::masked;
use crate::limits::{ACCESS_PURPOSE_CHARACTERS_MAX, ACCESS_WHO_CHARACTERS_MAX, BATCH_BYTES_MAX};
use crate::log::{self, LogError, Recovery, Vouched, Writer};
use crate::mutation::{Mutation, broken};
use crate::platform::Platform;

/// Files, and how many bytes of each.
pub(super) type AccessFiles = Vec<(PathBuf, u64)>;

/// The directory of the access log, inside the store.
pub(super) const DIRECTORY: &str = "access";

/// The log as this process has it.
#[derive(Default)]
pub(super) enum AccessLog {
    /// Nobody asked yet.
    #[default]
    Unopened,
    Open(Box<Writer>),
    /// A write or sync failed (I7).
    Failed(String),
}

/// An entry that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// Counts from 1.
    pub sequence: u64,
    /// Commit time, milliseconds since 1970.
    pub time_ms: u64,
    /// What for.
    pub purpose: String,
    /// Who.
    pub who: String,
    /// How many people were found.
    pub found: u64,
}

/// Somebody's My Number that was looked up.
pub(super) struct Inquiry {
    pub(super) data_key_id: u32,
    pub(super) my_number_hash: [u8; 16],
    /// How many people were found.
    pub(super) found: u64,
}

/// Entries that are synced together. Every text of one is four bytes a character at most.
const ENTRIES_IN_BATCH: usize = 128;
const _: () = assert!(
    ENTRIES_IN_BATCH * (4 * (ACCESS_PURPOSE_CHARACTERS_MAX + ACCESS_WHO_CHARACTERS_MAX) + 128) < BATCH_BYTES_MAX,
    "a batch has room for its entries"
);

/// What for and who, without anything that may be a My Number, cut to the lengths that an entry has room for.
pub(super) struct Reason {
    purpose: String,
    who: String,
}

impl Reason {
    pub(super) fn of(purpose: &str, who: &str) -> Result<Reason, AccessError> {
        let text = |text: &str, characters: usize| -> String {
            masked(text).trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(characters).collect()
        };
        let purpose = text(purpose, ACCESS_PURPOSE_CHARACTERS_MAX);
        if purpose.is_empty() {
            return Err(AccessError::NoPurpose);
        }
        Ok(Reason { purpose, who: text(who, ACCESS_WHO_CHARACTERS_MAX) })
    }
}

impl Shared {
    /// Makes entries durable.
    pub(super) fn log_access(&self, reason: &Reason, inquiries: &[Inquiry]) -> Result<(), AccessError> {
        if broken(Mutation::AnswerBeforeAccessLog) {
            return Ok(());
        }
        let entry = |inquiry: &Inquiry| AccessEntry {
            purpose: reason.purpose.clone(),
            who: reason.who.clone(),
            data_key_id: inquiry.data_key_id,
            my_number_hash: inquiry.my_number_hash.to_vec(),
            found: inquiry.found,
        };
        inquiries.chunks(ENTRIES_IN_BATCH).try_for_each(|part| {
            let messages: Vec<Vec<u8>> = part.iter().map(|inquiry| entry(inquiry).encode_to_vec()).collect();
            self.append_accesses(&messages)
        })
    }

    fn append_accesses(&self, messages: &[Vec<u8>]) -> Result<(), AccessError> {
        let mut log = lock(&self.access);
        if let AccessLog::Unopened = *log {
            *log = AccessLog::Open(Box::new(self.open_access_log()?));
        }
        let writer = match &mut *log {
            AccessLog::Open(writer) => writer,
            AccessLog::Failed(reason) => return Err(AccessError::Failed(reason.clone())),
            AccessLog::Unopened => unreachable!("it was opened above"),
        };
        let written = append(writer, messages, self.platform.environment.now_ms());
        written.map_err(|error| match error {
            LogError::NoSegment(error) => AccessError::NoRoom(error.to_string()),
            LogError::Failed(error) => {
                tracing::error!(reason = %error, "the access log failed; My Numbers are looked up again when the store was opened again");
                *log = AccessLog::Failed(error.to_string());
                AccessError::Failed(error.to_string())
            }
        })
    }

    /// Recovers the log, and says in the manifest that it is open, before anything is written to it.
    fn open_access_log(&self) -> Result<Writer, OpenError> {
        let platform = self.access_platform();
        platform.disk.create_directory(log::DIRECTORY.as_ref()).map_err(|source| OpenError::Disk {
            doing: "making",
            path: DIRECTORY.into(),
            source,
        })?;
        let vouched = vouched(lock(&self.manifest).access.as_ref());
        let recovered = Recovery::begin(&*platform.disk, self.mark.id, vouched)
            .and_then(|recovery| recovery.replay(&platform, None, &mut |_, _| Ok(())));
        let (mut writer, _) = recovered.map_err(in_its_place)?;
        // What was read is durable now, so it may be vouched for.
        self.vouch_for_access_log(&mut writer, false)?;
        self.name_what_is_there(false)?;
        Ok(writer)
    }

    /// The log as far as it is durable, as a manifest names it, and its files with their bytes up to there; `None` if there is none. Everything that was
    /// answered is in it: a log that nobody closed is recovered for that.
    pub(super) fn access_log_files(&self) -> Result<Option<(AccessLogMessage, AccessFiles)>, SnapshotError> {
        let mut log = lock(&self.access);
        let named = lock(&self.manifest).access;
        if let (AccessLog::Unopened, Some(AccessLogMessage { closed: false, .. })) = (&*log, named) {
            *log = AccessLog::Open(Box::new(self.open_access_log()?));
        }
        let (message, segments) = match (&*log, named) {
            (AccessLog::Failed(_), _) if lock(&self.manifest).is_closed() => return Err(SnapshotError::Closed),
            (AccessLog::Failed(reason), _) => return Err(SnapshotError::AccessLog(reason.clone())),
            (AccessLog::Open(writer), _) => {
                let (position, sequence) = (writer.durable(), writer.next_sequence() - 1);
                let message = AccessLogMessage { position, sequence, segment: writer.segment_number(), closed: false };
                (message, writer.segments().clone())
            }
            (AccessLog::Unopened, None) => return Ok(None),
            (AccessLog::Unopened, Some(named)) => {
                let recovery = Recovery::begin(&*self.access_platform().disk, self.mark.id, vouched(Some(&named)));
                (named, recovery.map_err(in_its_place)?.segments().clone())
            }
        };
        let place = |path: PathBuf| exchanged(&path, log::DIRECTORY.as_ref(), DIRECTORY.as_ref());
        let files = segments.files_up_to(message.position).map(|(path, length)| (place(path), length));
        Ok(Some((AccessLogMessage { closed: false, ..message }, files.collect())))
    }

    /// From the next manifest on.
    fn vouch_for_access_log(&self, writer: &mut Writer, closed: bool) -> Result<(), OpenError> {
        if writer.wants_mark() {
            writer.mark().map_err(|source| OpenError::Disk { doing: "writing", path: DIRECTORY.into(), source })?;
        }
        lock(&self.manifest).access = Some(AccessLogMessage {
            position: writer.durable(),
            sequence: writer.next_sequence() - 1,
            segment: writer.segment_number(),
            closed,
        });
        Ok(())
    }

    /// Nothing more will be written: the next manifest says where the log ends.
    pub(super) fn close_access_log(&self) {
        let mut log = lock(&self.access);
        let before = std::mem::replace(&mut *log, AccessLog::Failed("the store was closed".into()));
        if let AccessLog::Open(mut writer) = before
            && let Err(error) = self.vouch_for_access_log(&mut writer, true)
        {
            // The next open recovers it, as after a kill.
            tracing::warn!(error = &error as &dyn std::error::Error, "closing the access log");
        }
    }

    fn access_platform(&self) -> Platform {
        let disk = Arc::clone(&self.platform.disk);
        let disk: Arc<dyn Disk> = Arc::new(Instead::new(disk, log::DIRECTORY, DIRECTORY));
        Platform { disk, threads: false, ..self.platform.clone() }
    }
}

impl Store {
    /// Hands every entry of the access log to `visit`, in order.
    ///
    /// # Errors
    ///
    /// [`OpenError`], if the log cannot be read.
    pub fn accesses(&self, mut visit: impl FnMut(Access)) -> Result<(), OpenError> {
        let shared = &self.shared;
        let log = lock(&shared.access);
        let platform = shared.access_platform();
        let named = lock(&shared.manifest).access;
        if named.is_none() && platform.disk.list(Path::new(log::DIRECTORY)).is_ok_and(|files| files.is_empty()) {
            return Ok(());
        }
        let vouched = vouched(named.as_ref());
        let damaged = |what| Damage { file: DIRECTORY.into(), offset: 0, municipality: None, what };
        let read = Recovery::begin(&*platform.disk, shared.mark.id, vouched).and_then(|recovery| {
            recovery.read(&mut |_, event| {
                if event.header.kind == kind::LOST {
                    return Ok(());
                }
                if event.header.kind != kind::ACCESSED {
                    return Err(damaged("an event of another log").into());
                }
                let entry = AccessEntry::decode(event.message).map_err(|_| damaged("an entry that is no message"))?;
                let (sequence, time_ms) = (event.header.sequence, event.header.time_ms);
                let AccessEntry { purpose, who, found, .. } = entry;
                visit(Access { sequence, time_ms, purpose, who, found });
                Ok(())
            })
        });
        drop(log);
        read.map_err(in_its_place)
    }
}

fn append(writer: &mut Writer, messages: &[Vec<u8>], now_ms: u64) -> Result<(), LogError> {
    writer.begin(messages.iter().map(|message| Writer::event_bytes(message.len())).sum(), now_ms)?;
    for message in messages {
        writer.push(kind::ACCESSED, 0, 0, 0, message);
    }
    let sealed = writer.seal();
    sealed.write().map_err(LogError::Failed)?;
    writer.written(sealed);
    Ok(())
}

pub(super) fn vouched(message: Option<&AccessLogMessage>) -> Vouched {
    message.map_or(Vouched::default(), |log| Vouched {
        position: log.position,
        sequence: log.sequence,
        segment: log.segment,
        closed: log.closed,
        first: 0,
        time_ms: 0,
    })
}

/// An error that names the file where it lies.
pub(super) fn in_its_place(error: OpenError) -> OpenError {
    let place = |path: &Path| exchanged(path, log::DIRECTORY.as_ref(), DIRECTORY.as_ref());
    match error {
        OpenError::Damaged(damage) => OpenError::Damaged(Damage { file: place(&damage.file), ..damage }),
        OpenError::Newer { file, found, known } => OpenError::Newer { file: place(&file), found, known },
        OpenError::Disk { doing, path, source } => OpenError::Disk { doing, path: place(&path), source },
        other => other,
    }
}
