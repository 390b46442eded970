//! What stands in for a map of a file where the program is interpreted (`cfg(miri)`): the interpreter checks every access to memory, and maps no files.
//!
//! Owns as much of `memmap2`'s interface as `map` uses. The file is read again whenever someone looks at it, so a log segment shows what was appended. What
//! was handed out stays as it was, which is what a reader may rely on: bytes that are read never change.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

#[derive(Default)]
pub(super) struct MmapOptions {
    offset: u64,
    length: usize,
}

pub(super) enum Advice {
    HugePage,
    PopulateRead,
}

#[derive(Debug)]
pub(super) struct Mmap {
    file: File,
    offset: u64,
    first: Content,
}

/// The file at one moment, and the next moment at which it was another.
#[derive(Debug)]
struct Content {
    bytes: Vec<u8>,
    next: OnceLock<Box<Content>>,
}

impl MmapOptions {
    pub(super) fn new() -> MmapOptions {
        MmapOptions::default()
    }

    pub(super) fn offset(&mut self, offset: u64) -> &mut MmapOptions {
        self.offset = offset;
        self
    }

    pub(super) fn len(&mut self, length: usize) -> &MmapOptions {
        self.length = length;
        self
    }

    pub(super) fn map(&self, file: &File) -> io::Result<Mmap> {
        let file = file.try_clone()?;
        let bytes = read(&file, self.offset, self.length)?;
        Ok(Mmap { file, offset: self.offset, first: Content { bytes, next: OnceLock::new() } })
    }
}

impl Mmap {
    pub(super) fn advise(&self, advice: Advice) -> io::Result<()> {
        match advice {
            Advice::HugePage | Advice::PopulateRead => Ok(()),
        }
    }
}

impl Mmap {
    pub(super) fn advise_range(&self, advice: Advice, _offset: usize, _length: usize) -> io::Result<()> {
        self.advise(advice)
    }
}

impl Deref for Mmap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let now = read(&self.file, self.offset, self.first.bytes.len())
            .expect("a file that is mapped is there and not shortened");
        let mut content = &self.first;
        while content.bytes != now {
            content = content.next.get_or_init(|| Box::new(Content { bytes: now.clone(), next: OnceLock::new() }));
        }
        &content.bytes
    }
}

fn read(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
