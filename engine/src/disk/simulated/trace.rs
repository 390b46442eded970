//! What was asked of a simulated disk and what it said: a digest of every call, and the last calls in words.
//!
//! Two runs that give the same digest did the same, as far as the disk can tell.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::faults::Call;

/// One call.
pub(super) struct Traced<'a> {
    pub(super) call: Call,
    pub(super) path: &'a Path,
    /// Bytes from the start of the file.
    pub(super) offset: u64,
    pub(super) length: u64,
    /// Checksum of the bytes, written or read.
    pub(super) crc: u32,
    pub(super) error: Option<&'a io::Error>,
}

#[derive(Default)]
pub(super) struct Trace {
    digest: u64,
    /// The last calls in words, and how many of them are kept.
    recent: VecDeque<String>,
    kept: usize,
}

impl Trace {
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn keep(&mut self, count: usize) {
        self.kept = count;
        self.recent.truncate(count);
    }

    pub(super) fn recent(&self) -> impl Iterator<Item = &String> {
        self.recent.iter()
    }

    /// Something that is no call, such as a power cut.
    pub(super) fn note(&mut self, what: impl std::fmt::Display) {
        let what = what.to_string();
        self.mix(u64::from(crc32fast::hash(what.as_bytes())));
        self.push(|| what);
    }

    /// Bytes that the call which follows has read.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.mix(u64::from(crc32fast::hash(bytes)));
    }

    pub(super) fn call(&mut self, traced: &Traced<'_>) {
        self.mix(traced.call as u64 | u64::from(crc32fast::hash(traced.path.as_os_str().as_encoded_bytes())) << 8);
        self.mix(traced.offset);
        self.mix(traced.length << 32 | u64::from(traced.crc));
        if let Some(error) = traced.error {
            self.mix(u64::from(crc32fast::hash(format!("{:?}", error.kind()).as_bytes())) | 1 << 63);
        }
        self.push(|| {
            let Traced { call, path, offset, length, crc, error } = traced;
            let said = error.map_or("done".into(), ToString::to_string);
            format!("{call:?} {} {offset}+{length} {crc:08x}: {said}", path.display())
        });
    }

    /// Mixes a number in, as FNV does, with a better spread.
    fn mix(&mut self, number: u64) {
        let mixed = (self.digest ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.digest = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9).rotate_left(23);
    }

    fn push(&mut self, words: impl FnOnce() -> String) {
        if self.kept > 0 {
            if self.recent.len() == self.kept {
                self.recent.pop_front();
            }
            self.recent.push_back(words());
        }
    }
}
