//! Mapped files, and the prefetch of their bytes.
//!
//! Owns the engine's only `unsafe` code: creating a map, and the prefetch instruction. A map is shared memory that the kernel
//! fills from the file; Rust's rules hold as long as bytes that were handed out never change. Who provides that:
//!
//! * generations are complete and synced before they are mapped, and nothing writes to them afterwards (I3);
//! * log segments are mapped while the committer appends to them, but readers hold only addresses of synced frames (I5), whose bytes are final;
//! * no file of a store is ever shortened while it may be mapped, and the store's lock keeps other processes out.

use std::fs;
use std::io;
use std::ops::Range;

#[cfg(not(miri))]
use memmap2::{Advice, Mmap, MmapOptions};

#[cfg(miri)]
use super::interpreted::{Advice, Mmap, MmapOptions};

/// A read-only map of the first bytes of a file.
#[derive(Debug)]
pub struct Map {
    bytes: Mmap,
}

/// Bytes of a huge page. Files below this size gain nothing from them.
pub(super) const HUGE_PAGE_BYTES: u64 = 2 << 20;

impl Map {
    pub(super) fn of(file: &fs::File, length: u64) -> io::Result<Map> {
        let length_native =
            usize::try_from(length).map_err(|_| io::Error::other("the file does not fit the address space"))?;
        #[cfg_attr(miri, allow(unused_unsafe))]
        // SAFETY: bytes of the file that anyone reads do not change while the map lives; the module's header says who provides that.
        let bytes = unsafe { MmapOptions::new().len(length_native).map(file)? };
        if length >= HUGE_PAGE_BYTES {
            // A hint: where the kernel cannot back the file with huge pages it says so, and small pages serve.
            let _ = bytes.advise(Advice::HugePage);
        }
        Ok(Map { bytes })
    }

    /// Has the kernel hold a range of a file in huge pages, where it can: they are made as the range is read, and whatever is written to it later, in pieces as
    /// small as one likes, goes into them. The range begins and ends with a huge page, inside the file, and none of it was read or written before.
    pub(super) fn hold_in_huge_pages(file: &fs::File, range: Range<u64>) -> io::Result<()> {
        let length = (range.end - range.start) as usize;
        #[cfg_attr(miri, allow(unused_unsafe))]
        // SAFETY: nobody reads the bytes of this map.
        let bytes = unsafe { MmapOptions::new().offset(range.start).len(length).map(file)? };
        bytes.advise(Advice::HugePage)?;
        bytes.advise(Advice::PopulateRead)
    }

    /// A map of bytes that lie in no file, and of zeros behind them up to `length`.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn of_bytes(bytes: &[u8], length: u64) -> io::Result<Map> {
        let mut map = memmap2::MmapMut::map_anon(usize::try_from(length).map_err(io::Error::other)?)?;
        let mapped = bytes.len().min(map.len());
        map[..mapped].copy_from_slice(&bytes[..mapped]);
        Ok(Map { bytes: map.make_read_only()? })
    }

    /// Has the kernel read a range of the file, so that whoever looks at it next finds it in memory. What a disk cannot give is an error here, and would end the
    /// program there.
    pub(crate) fn load(&self, range: Range<usize>) -> io::Result<()> {
        match self.bytes.advise_range(Advice::PopulateRead, range.start, range.len()) {
            // A kernel that does not know this; there is nothing to do about its disks.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            loaded => loaded,
        }
    }

    /// All mapped bytes. Read only those that will never change again.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Starts to fetch the cache line at `offset` of `bytes`; does nothing beyond their end.
#[inline]
pub(crate) fn prefetch(bytes: &[u8], offset: usize) {
    if let Some(byte) = bytes.get(offset) {
        prefetch_value(byte);
    }
}

/// Starts to fetch the cache line where `value` begins.
#[inline]
pub(crate) fn prefetch_value<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the pointer is that of a value that exists; a prefetch reads nothing that the program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
