//! The floor of a match: the same reads of the same mapped files, and nothing else.
//!
//! Owns a map of every generation of a store, with the same advice as the engine's, and the extents of index and entries. A probe goes from the municipality
//! to the index line and from there to the entry's three lines, as a match does: the second address comes out of the first line. There is no view, no tail,
//! no checksum, no person. What the bytes are stands in `docs/format.md`; this is a second reader of them.

use std::fs::{self, File};
use std::path::Path;

use memmap2::{Advice, Mmap};
use sesshu_engine::ticket::{Municipality, Ticket};

/// Files below this size are not advised to use huge pages, as in the engine.
const HUGE_PAGE_BYTES: usize = 2 << 20;
const FOOTER_BYTES: usize = 512;
const INDEX_TAG: u32 = 2;
const ADDRESS_BITS: u32 = 30;

/// The newest generation of every municipality.
pub struct Bare {
    /// By five digits.
    files: Vec<Option<Generation>>,
}

struct Generation {
    map: Mmap,
    index_offset: usize,
    index_lines: usize,
}

impl Bare {
    /// Maps the generations of the store at `path`.
    #[must_use]
    pub fn of(path: &Path) -> Bare {
        let of = |municipality: Municipality| {
            let directory = fs::read_dir(path.join(format!("ledgers/{municipality}"))).ok()?;
            let files = directory.map(|entry| entry.expect("a directory entry").path());
            Some(Generation::map(&files.max().expect("a ledger has a generation")))
        };
        let mut files = Vec::new();
        for municipality in Municipality::all() {
            files.resize_with(municipality.five_digits() as usize, || None);
            files.push(of(municipality));
        }
        Bare { files }
    }

    /// Reads what a match of `ticket` reads; the sum of three words of its entry, or 0 if it has none.
    #[inline]
    #[must_use]
    pub fn probe(&self, ticket: Ticket) -> u64 {
        self.generation(ticket).map_or(0, |generation| generation.entry(generation.address(ticket.number())))
    }

    /// As [`Bare::probe`], for tickets side by side: first the ledgers, then the index lines, then the entries.
    #[inline]
    #[must_use]
    pub fn probe_batch(&self, tickets: &[Ticket]) -> u64 {
        const GROUP: usize = 16;
        let mut sum = 0;
        for tickets in tickets.chunks(GROUP) {
            let mut generations = [None; GROUP];
            for (generation, &ticket) in generations.iter_mut().zip(tickets) {
                *generation = self.generation(ticket);
                generation.iter().for_each(prefetch);
            }
            for (generation, ticket) in generations.iter().zip(tickets) {
                generation.iter().for_each(|generation| prefetch(&generation.map[generation.line(ticket.number())]));
            }
            let mut addresses = [0; GROUP];
            for ((generation, ticket), address) in generations.iter().zip(tickets).zip(&mut addresses) {
                let Some(generation) = generation else { continue };
                *address = generation.address(ticket.number());
                [0, 64, 128].iter().for_each(|line| prefetch(&generation.map[*address + line]));
            }
            for (generation, address) in generations.iter().zip(addresses) {
                sum ^= generation.map_or(0, |generation| generation.entry(address));
            }
        }
        sum
    }

    #[inline]
    fn generation(&self, ticket: Ticket) -> Option<&Generation> {
        self.files[(ticket.to_bits() >> 34) as usize].as_ref()
    }
}

impl Generation {
    fn map(path: &Path) -> Generation {
        let file = File::open(path).expect("a generation can be read");
        // SAFETY: the file is a generation that the store has installed; nothing writes to it any more.
        let map = unsafe { Mmap::map(&file).expect("a generation can be mapped") };
        if map.len() >= HUGE_PAGE_BYTES {
            // A hint: where huge pages cannot be had, small ones serve.
            let _ = map.advise(Advice::HugePage);
        }
        let footer = &map[map.len() - FOOTER_BYTES..];
        let mut sections = footer[64..].chunks_exact(24);
        let index =
            sections.find(|section| section[0..4] == INDEX_TAG.to_le_bytes()).expect("a generation has an index");
        let (index_offset, index_lines) = (word(index, 8) as usize, word(index, 16) as usize / 64);
        Generation { map, index_offset, index_lines }
    }

    /// Where the line begins in which a number belongs.
    #[inline]
    fn line(&self, number: u64) -> usize {
        let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^= x >> 33;
        self.index_offset + ((u128::from(x) * self.index_lines as u128) >> 64) as usize * 64
    }

    /// Where a number's entry begins; 0 if there is none.
    #[inline]
    fn address(&self, number: u64) -> usize {
        let mut line = self.line(number);
        loop {
            let slots = &self.map[line..line + 64];
            let mut address = 0;
            for slot in slots.chunks_exact(8).map(|slot| word(slot, 0)) {
                address |= if slot >> ADDRESS_BITS == number { slot & ((1 << ADDRESS_BITS) - 1) } else { 0 };
            }
            if address != 0 || word(slots, 56) == 0 {
                return address as usize * 8;
            }
            line += 64;
            if line == self.index_offset + self.index_lines * 64 {
                line = self.index_offset;
            }
        }
    }

    /// A word of each of the entry's three lines.
    #[inline]
    fn entry(&self, address: usize) -> u64 {
        if address == 0 {
            return 0;
        }
        word(&self.map, address) ^ word(&self.map, address + 64) ^ word(&self.map, address + 128)
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Starts to fetch the line where `value` begins.
#[inline]
fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the pointer is that of a value that exists; a prefetch reads nothing that the program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
