//! The bytes of one file on the platter, and what was written since its last sync.
//!
//! Owns what may become of a file at a power cut, sector by sector, and after a failed sync. Pages of zeros take no memory: a log segment is mostly zeros.
//! Which name leads to the file is for [`super::platter`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draw::Draw;
use super::platter::Unsynced;

/// What a disk writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

const PAGE_BYTES: usize = 4096;
static ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// Whether all bytes are zero.
pub(super) fn zero(bytes: &[u8]) -> bool {
    bytes.chunks(PAGE_BYTES).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

/// Bytes, most of them zero.
#[derive(Clone, Default)]
pub(super) struct Sparse {
    pages: Vec<Option<Arc<[u8; PAGE_BYTES]>>>,
    length: usize,
}

impl Sparse {
    pub(super) fn of(bytes: &[u8]) -> Sparse {
        let mut sparse = Sparse::default();
        sparse.extend(bytes.len());
        sparse.write(0, bytes);
        sparse
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The pages that hold something: offset and bytes, none beyond the end.
    pub(super) fn pages(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let held =
            self.pages.iter().enumerate().filter_map(|(index, page)| Some((index * PAGE_BYTES, page.as_deref()?)));
        held.map(|(offset, page)| (offset, &page[..PAGE_BYTES.min(self.length - offset)]))
    }

    fn extend(&mut self, length: usize) {
        if length > self.length {
            self.length = length;
            self.pages.resize(length.div_ceil(PAGE_BYTES), None);
        }
    }

    /// Writes inside the length.
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.each_page(offset, bytes.len(), |held, within, at| {
            let bytes = &bytes[at..at + within.len()];
            if held.is_some() || !zero(bytes) {
                Arc::make_mut(held.get_or_insert_with(|| Arc::new(ZEROS)))[within].copy_from_slice(bytes);
            }
        });
    }

    fn write_zeros(&mut self, offset: usize, length: usize) {
        self.each_page(offset, length, |held, within, _| {
            if within.len() == PAGE_BYTES {
                *held = None;
            } else if let Some(page) = held {
                Arc::make_mut(page)[within].fill(0);
            }
        });
    }

    /// Visits every page of a range: the page, the range in it, and how much of the whole lies before.
    fn each_page(
        &mut self,
        offset: usize,
        length: usize,
        mut visit: impl FnMut(&mut Option<Arc<[u8; PAGE_BYTES]>>, std::ops::Range<usize>, usize),
    ) {
        let mut at = 0;
        while at < length {
            let within = (offset + at) % PAGE_BYTES;
            let count = (PAGE_BYTES - within).min(length - at);
            visit(&mut self.pages[(offset + at) / PAGE_BYTES], within..within + count, at);
            at += count;
        }
    }

    fn flip(&mut self, offset: usize, mask: u8) {
        if offset < self.length {
            Arc::make_mut(self.pages[offset / PAGE_BYTES].get_or_insert_with(|| Arc::new(ZEROS)))
                [offset % PAGE_BYTES] ^= mask;
        }
    }
}

/// One write. No bytes: zeros.
#[derive(Clone)]
struct Write {
    offset: usize,
    length: usize,
    bytes: Option<Box<[u8]>>,
}

impl Write {
    fn apply(&self, to: &mut Sparse, from: usize, end: usize) {
        match &self.bytes {
            Some(bytes) => to.write(from, &bytes[from - self.offset..end - self.offset]),
            None => to.write_zeros(from, end - from),
        }
    }
}

/// A file, whatever its names.
#[derive(Clone, Default)]
pub(super) struct Contents {
    durable: Sparse,
    /// What was written since the last sync, oldest first.
    writes: Vec<Write>,
    /// Bytes that the program sees.
    length: usize,
    /// The program sees bytes that no sync will make durable any more: those of a failed sync, or a sector that went astray.
    stale: bool,
    /// Some byte is not what was written there.
    damaged: bool,
}

impl Contents {
    /// A file that was there, durable, before anything happened.
    pub(super) fn found(bytes: &[u8]) -> Contents {
        Contents { durable: Sparse::of(bytes), length: bytes.len(), ..Contents::default() }
    }

    /// Bytes that the program sees.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether a power cut may change what the program sees.
    pub(super) fn unsynced(&self) -> bool {
        self.stale || !self.writes.is_empty() || self.length != self.durable.length
    }

    pub(super) fn stale(&self) -> bool {
        self.stale
    }

    pub(super) fn set_stale(&mut self) {
        self.stale = true;
    }

    /// Whether bits were flipped here, or a sector went astray from here or to here.
    pub(super) fn damaged(&self) -> bool {
        self.damaged
    }

    pub(super) fn set_damaged(&mut self) {
        self.damaged = true;
    }

    /// The durable bytes.
    pub(super) fn durable(&self) -> &Sparse {
        &self.durable
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let held = (!zero(bytes)).then(|| bytes.into());
        self.writes.push(Write { offset, length: bytes.len(), bytes: held });
        self.grow(offset + bytes.len());
    }

    /// Extends the file with zeros.
    pub(super) fn grow(&mut self, length: usize) {
        self.length = self.length.max(length);
    }

    pub(super) fn sync(&mut self) {
        self.durable.extend(self.length);
        for write in self.writes.drain(..) {
            write.apply(&mut self.durable, write.offset, write.offset + write.length);
        }
    }

    /// A sync failed: as on Linux, what waited for it never becomes durable, the program goes on to see it, and the next sync knows nothing of it.
    pub(super) fn lose(&mut self) {
        self.writes.clear();
        self.stale = true;
    }

    /// What a program reads when the machine has dropped this file's pages from its cache.
    pub(super) fn evict(&mut self) -> Sparse {
        self.stale = false;
        let mut seen = self.durable.clone();
        seen.extend(self.length);
        for write in &self.writes {
            write.apply(&mut seen, write.offset, write.offset + write.length);
        }
        seen
    }

    /// Overwrites durable bytes, as a write that was meant for another place does.
    pub(super) fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        let length = bytes.len().min(self.durable.length.saturating_sub(offset));
        self.durable.write(offset, &bytes[..length]);
    }

    /// Flips bits of a byte, durable or not.
    pub(super) fn flip(&mut self, offset: usize, mask: u8) {
        self.durable.flip(offset, mask);
        for write in &mut self.writes {
            if (write.offset..write.offset + write.length).contains(&offset) {
                let bytes = write.bytes.get_or_insert_with(|| vec![0; write.length].into());
                bytes[offset - write.offset] ^= mask;
            }
        }
    }

    /// The power is cut: what survives is all there is.
    pub(super) fn cut(&mut self, unsynced: Unsynced, draw: &mut Draw) {
        let durable = self.durable.length;
        let grown = self.length - durable;
        let length = match unsynced {
            Unsynced::Lost => durable,
            Unsynced::Zeros => self.length,
            Unsynced::Torn(_) => durable + [0, draw.below(grown + 1), grown][draw.below(3)],
        };
        self.durable.extend(length);
        let writes = std::mem::take(&mut self.writes);
        if let Unsynced::Torn(_) = unsynced {
            // How many of the writes since the last sync each sector has seen.
            let mut seen = BTreeMap::new();
            for (at, write) in writes.iter().enumerate() {
                // None of it, if the file ends before it.
                let end = (write.offset + write.length).min(length);
                if end <= write.offset {
                    continue;
                }
                for sector in write.offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
                    if at < *seen.entry(sector).or_insert_with(|| draw.below(writes.len() + 1)) {
                        let from = (sector * SECTOR_BYTES).max(write.offset);
                        let to = ((sector + 1) * SECTOR_BYTES).min(end);
                        write.apply(&mut self.durable, from, to);
                    }
                }
            }
        }
        self.length = length;
        self.stale = false;
    }
}
