//! The fixed parts of a generation file: header and footer.
//!
//! Owns their bytes, the section tags and the counters.
//!
//! ```text
//! header  0        8         12      16         32             36     40           48     56               64
//!         | magic  | version | crc32 | store id | municipality | zero | generation | salt | folded position |      at byte 0 and 4096
//! footer  0        8         12      16              24                                  64
//!         | magic  | crc32   | count | file length   | entries, rows, active, orphans, shots | sections (24 bytes each)
//! section 0     4       8        16
//!         | tag | crc32 | offset | length |
//! ```

use crate::frame::{Salt, u32_at, u64_at};
use crate::limits::FILE_HEADER_BYTES;
use crate::lookup::LookupKey;
use crate::{FORMAT_VERSION, StoreId};

const HEADER_MAGIC: &[u8; 8] = b"SesshuGn";
const FOOTER_MAGIC: &[u8; 8] = b"SesshuGf";
const HEADER_BYTES: usize = 64;
const SECOND_COPY: usize = 4096;
pub(super) const FOOTER_BYTES: usize = 512;
const SECTION_BYTES: usize = 24;
const SECTIONS_AT: usize = 64;
const SECTIONS_MAX: usize = (FOOTER_BYTES - SECTIONS_AT) / SECTION_BYTES;

/// What a section holds. A reader skips tags that it does not know.
pub(super) mod tag {
    pub(in super::super) const ENTRIES: u32 = 1;
    pub(in super::super) const INDEX: u32 = 2;
    pub(in super::super) const RESIDENT_NUMBERS: u32 = 3;
    pub(in super::super) const DICTIONARY: u32 = 4;
    pub(in super::super) const COLD: u32 = 5;
    pub(in super::super) const KANA_AND_BIRTH_DATES: u32 = 6;
    pub(in super::super) const NAMES: u32 = 7;
    pub(in super::super) const MY_NUMBERS: u32 = 8;
    pub(in super::super) const KANA_ORDER: u32 = 9;
    pub(in super::super) const SENDERS: u32 = 10;
    pub(in super::super) const WITHOUT_TICKET: u32 = 11;

    /// The table of a look-up.
    pub(in super::super) fn of(kind: crate::lookup::Kind) -> u32 {
        match kind {
            crate::lookup::Kind::ResidentNumber => RESIDENT_NUMBERS,
            crate::lookup::Kind::KanaAndBirthDate => KANA_AND_BIRTH_DATES,
            crate::lookup::Kind::Name => NAMES,
            crate::lookup::Kind::MyNumber => MY_NUMBERS,
        }
    }
}

/// Whose generation it is, which one, and what it folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) store_id: StoreId,
    /// Of the store's look-ups. Not in the file.
    pub(crate) lookup_key: LookupKey,
    /// The first five digits of the municipality code.
    pub(crate) five_digits: u32,
    pub(crate) generation: u64,
    pub(crate) salt: Salt,
    /// Events before this position of the log are folded in.
    pub(crate) folded_position: u64,
}

/// What a generation holds, counted while it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) entries: u64,
    pub(crate) rows: u64,
    /// Rows with the status active.
    pub(crate) active: u64,
    /// Entries without a row.
    pub(crate) orphans: u64,
    pub(crate) shots: u64,
}

/// Where a section lies, and its checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) tag: u32,
    pub(super) crc: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) file_length: u64,
    pub(super) counters: Counters,
    pub(super) sections: Vec<Section>,
}

/// The first 8192 bytes of the file.
pub(super) fn encode_header(identity: &Identity) -> Vec<u8> {
    let mut copy = [0u8; HEADER_BYTES];
    copy[0..8].copy_from_slice(HEADER_MAGIC);
    copy[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    copy[16..32].copy_from_slice(&identity.store_id.0);
    copy[32..36].copy_from_slice(&identity.five_digits.to_le_bytes());
    copy[40..48].copy_from_slice(&identity.generation.to_le_bytes());
    copy[48..56].copy_from_slice(&identity.salt.0.to_le_bytes());
    copy[56..64].copy_from_slice(&identity.folded_position.to_le_bytes());
    let crc = crc32fast::hash(&copy);
    copy[12..16].copy_from_slice(&crc.to_le_bytes());
    let mut bytes = vec![0; FILE_HEADER_BYTES as usize];
    bytes[..HEADER_BYTES].copy_from_slice(&copy);
    bytes[SECOND_COPY..SECOND_COPY + HEADER_BYTES].copy_from_slice(&copy);
    bytes
}

/// What a header says of the file; either copy will do. `lookup_key` is the store's.
pub(super) fn read_header(bytes: &[u8], lookup_key: LookupKey) -> Option<Identity> {
    [0, SECOND_COPY].into_iter().find_map(|at| {
        let copy = bytes.get(at..at + HEADER_BYTES)?;
        let identity = Identity {
            store_id: StoreId(copy[16..32].try_into().ok()?),
            lookup_key,
            five_digits: u32_at(copy, 32),
            generation: u64_at(copy, 40),
            salt: Salt(u64_at(copy, 48)),
            folded_position: u64_at(copy, 56),
        };
        (encode_header(&identity)[..HEADER_BYTES] == *copy).then_some(identity)
    })
}

/// Whether either copy of the header says that the file is what `identity` says.
pub(super) fn header_is(bytes: &[u8], identity: &Identity) -> bool {
    let expected = encode_header(identity);
    [0, SECOND_COPY].into_iter().any(|at| bytes.get(at..at + HEADER_BYTES) == Some(&expected[..HEADER_BYTES]))
}

/// The version that a whole header of another format has.
pub(super) fn other_version(bytes: &[u8]) -> Option<u32> {
    let copies = [0, SECOND_COPY].into_iter().filter_map(|at| bytes.get(at..at + HEADER_BYTES));
    copies.filter(|copy| &copy[0..8] == HEADER_MAGIC && u32_at(copy, 8) != FORMAT_VERSION).find_map(|copy| {
        let mut unsigned = [0; HEADER_BYTES];
        unsigned.copy_from_slice(copy);
        unsigned[12..16].fill(0);
        (crc32fast::hash(&unsigned) == u32_at(copy, 12)).then(|| u32_at(copy, 8))
    })
}

impl Footer {
    /// The last 512 bytes of the file.
    pub(super) fn encode(&self, salt: Salt) -> Vec<u8> {
        assert!(self.sections.len() <= SECTIONS_MAX, "a footer has room for {SECTIONS_MAX} sections");
        let mut bytes = vec![0; FOOTER_BYTES];
        bytes[0..8].copy_from_slice(FOOTER_MAGIC);
        bytes[12..16].copy_from_slice(&(self.sections.len() as u32).to_le_bytes());
        let Counters { entries, rows, active, orphans, shots } = self.counters;
        for (index, number) in [self.file_length, entries, rows, active, orphans, shots].into_iter().enumerate() {
            bytes[16 + index * 8..24 + index * 8].copy_from_slice(&number.to_le_bytes());
        }
        for (section, at) in self.sections.iter().zip((SECTIONS_AT..).step_by(SECTION_BYTES)) {
            bytes[at..at + 4].copy_from_slice(&section.tag.to_le_bytes());
            bytes[at + 4..at + 8].copy_from_slice(&section.crc.to_le_bytes());
            bytes[at + 8..at + 16].copy_from_slice(&section.offset.to_le_bytes());
            bytes[at + 16..at + 24].copy_from_slice(&section.length.to_le_bytes());
        }
        let crc = salt.checksum(self.file_length, FOOTER_BYTES as u32, &bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the last 512 bytes of a file of `file_length` bytes; `None` if they do not validate.
    pub(super) fn decode(bytes: &[u8], salt: Salt, file_length: u64) -> Option<Footer> {
        let bytes = bytes.first_chunk::<FOOTER_BYTES>()?;
        let crc = salt.checksum(file_length, FOOTER_BYTES as u32, &bytes[12..]);
        if &bytes[0..8] != FOOTER_MAGIC || crc != u32_at(bytes, 8) || u64_at(bytes, 16) != file_length {
            return None;
        }
        let count = u32_at(bytes, 12) as usize;
        if count > SECTIONS_MAX {
            return None;
        }
        let sections = (SECTIONS_AT..).step_by(SECTION_BYTES).take(count).map(|at| Section {
            tag: u32_at(bytes, at),
            crc: u32_at(bytes, at + 4),
            offset: u64_at(bytes, at + 8),
            length: u64_at(bytes, at + 16),
        });
        let sections: Vec<Section> = sections.collect();
        let content = file_length - FOOTER_BYTES as u64;
        let inside = |s: &Section| {
            s.offset.checked_add(s.length).is_some_and(|end| end <= content) && s.offset.is_multiple_of(8)
        };
        let counters = Counters {
            entries: u64_at(bytes, 24),
            rows: u64_at(bytes, 32),
            active: u64_at(bytes, 40),
            orphans: u64_at(bytes, 48),
            shots: u64_at(bytes, 56),
        };
        sections.iter().all(inside).then_some(Footer { file_length, counters, sections })
    }
}
