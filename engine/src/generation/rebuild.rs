//! Rebuilding a generation: what follows from its entries is made again, and the file is then, byte for byte, what was installed.
//!
//! Owns the way from what is whole to the whole. Entries, dictionary, cold section and senders are taken as they lie; the header, the index, the look-ups, the order
//! of kana, where people without a ticket begin, and the footer are made. The BLAKE3 that the manifest has says whether that is the file: nothing else is believed.
//! Where the footer is damaged too, the sections are found by what they are.

use std::io;
use std::path::Path;

use super::cold::ColdView;
use super::derived::{Derivation, DerivedRow};
use super::dictionary;
use super::entry::Entry;
use super::layout::{FOOTER_BYTES, Footer, Identity, Section, encode_header, tag};
use crate::disk::{Disk, Map};
use crate::frame::{self, kind};
use crate::limits::{FILE_CHUNK_BYTES, FILE_HEADER_BYTES};
use crate::lookup::Kind;
use crate::stored::counts_as_active;

/// Makes a generation of `length` bytes with BLAKE3 `blake3` again, of what is left of it at `from`, as the new file `to`, durably. False: it cannot be; nothing is left then.
pub(crate) fn rebuild(
    disk: &dyn Disk,
    (from, to): (&Path, &Path),
    identity: &Identity,
    (length, blake3): (u64, &[u8]),
) -> io::Result<bool> {
    let map = match disk.map(from, length) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
            return Ok(false);
        }
        map => map?,
    };
    let made = made_again(&map, identity, length);
    let Some(bytes) = made.filter(|bytes| blake3::hash(bytes).as_bytes()[..] == *blake3) else { return Ok(false) };
    let file = disk.create(to)?;
    for (chunk, at) in bytes.chunks(FILE_CHUNK_BYTES).zip((0..).step_by(FILE_CHUNK_BYTES)) {
        file.write_at(chunk, at)?;
    }
    file.sync()?;
    Ok(true)
}

/// The file as it was, if what is taken over is whole.
fn made_again(map: &Map, identity: &Identity, length: u64) -> Option<Vec<u8>> {
    (0..map.bytes().len())
        .step_by(FILE_CHUNK_BYTES)
        .try_for_each(|at| map.load(at..map.bytes().len().min(at + FILE_CHUNK_BYTES)).ok())?;
    let old = map.bytes();
    let content = usize::try_from(length).ok()?.checked_sub(FOOTER_BYTES)?;
    let footer = Footer::decode(&old[content..], identity.salt, length);
    let entries = entries(old, identity)?;
    let mut bytes = encode_header(identity);
    bytes.extend_from_slice(&old[FILE_HEADER_BYTES as usize..entries.end]);
    let mut sections = vec![section(&bytes, tag::ENTRIES, FILE_HEADER_BYTES as usize)];
    let kept = |wanted: u32| {
        let section = footer.as_ref()?.sections.iter().find(|section| section.tag == wanted)?;
        Some(section.offset as usize..(section.offset + section.length) as usize)
    };
    // Everything up to the dictionary is made; how long that is says where the dictionary lies.
    let mut derived = Derivation::new(identity.lookup_key);
    let cold = match kept(tag::COLD) {
        Some(cold) => cold,
        None => find_cold(old, identity, &entries, content)?,
    };
    for &(address, entry) in &entries.all {
        let (number, row, shots) = derive(old, identity, cold.start, &entry)?;
        derived.push(number, address, row, shots);
    }
    add(&mut bytes, &mut sections, tag::INDEX, 64, &derived.index());
    for kind in Kind::ALL {
        add(&mut bytes, &mut sections, tag::of(kind), 64, &derived.take_lookup(kind));
    }
    add(&mut bytes, &mut sections, tag::KANA_ORDER, 8, &derived.take_kana_order());
    let at = bytes.len().next_multiple_of(8);
    let texts = match kept(tag::DICTIONARY) {
        Some(texts) => texts,
        None => at..at + dictionary::length(old.get(at..content)?)?,
    };
    add(&mut bytes, &mut sections, tag::DICTIONARY, 8, old.get(texts)?);
    add(&mut bytes, &mut sections, tag::COLD, 8, old.get(cold)?);
    let at = bytes.len().next_multiple_of(8);
    let first = derived.without_ticket.map(u64::to_le_bytes);
    let senders = match (kept(tag::SENDERS), &footer) {
        (Some(senders), _) => senders,
        (None, Some(_)) => at..at,
        // A message does not end with a zero; what lies behind it is padding, and the address of the first entry of a person without a ticket.
        (None, None) => {
            let end = content - first.map_or(0, |first| first.len());
            at..at + old.get(at..end)?.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
        }
    };
    if !senders.is_empty() {
        add(&mut bytes, &mut sections, tag::SENDERS, 8, old.get(senders)?);
    }
    if let Some(first) = first {
        add(&mut bytes, &mut sections, tag::WITHOUT_TICKET, 8, &first);
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let footer = Footer { file_length: length, counters: derived.counters, sections };
    bytes.extend_from_slice(&footer.encode(identity.salt));
    (bytes.len() as u64 == length).then_some(bytes)
}

fn add(bytes: &mut Vec<u8>, sections: &mut Vec<Section>, tag: u32, alignment: usize, content: &[u8]) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
    let offset = bytes.len();
    bytes.extend_from_slice(content);
    sections.push(section(bytes, tag, offset));
}

/// The section from `offset` to the end.
fn section(bytes: &[u8], tag: u32, offset: usize) -> Section {
    let content = &bytes[offset..];
    Section { tag, crc: crc32fast::hash(content), offset: offset as u64, length: content.len() as u64 }
}

/// Every entry, by address, and where the last one ends.
struct Entries<'a> {
    all: Vec<(u64, Entry<'a>)>,
    end: usize,
}

/// Frames one behind another, as long as they are entries.
fn entries<'a>(bytes: &'a [u8], identity: &Identity) -> Option<Entries<'a>> {
    let (mut all, mut at) = (Vec::new(), FILE_HEADER_BYTES as usize);
    while let Ok(frame) = frame::decode(bytes.get(at..)?, identity.salt, at as u64) {
        if frame.header.kind != kind::ENTRY {
            break;
        }
        all.push((at as u64, Entry::decode(bytes[at..].first_chunk()?, frame.payload)?));
        at += frame.size;
    }
    Some(Entries { all, end: at })
}

/// Where the cold section lies: what the entries name is behind its beginning, and it begins with a frame.
fn find_cold(
    bytes: &[u8],
    identity: &Identity,
    entries: &Entries<'_>,
    content: usize,
) -> Option<std::ops::Range<usize>> {
    let named = entries.all.iter().filter_map(|(_, entry)| entry.cold.checked_sub(8));
    let decode = |at: usize| {
        let frame = frame::decode(bytes.get(at..content)?, identity.salt, at as u64).ok()?;
        (frame.header.kind == kind::COLD_ENTRY).then_some(frame.size)
    };
    let Some(last) = named.max() else {
        // None: behind the dictionary, wherever that ends.
        return Some(content..content);
    };
    let begin = (entries.end.next_multiple_of(8)..content).step_by(8).find(|&at| decode(at).is_some())?;
    let last = begin + usize::try_from(last).ok()?;
    Some(begin..last + decode(last)?)
}

/// Number of an entry, what follows from its row, and how many shots are not another ticket's.
fn derive<'a>(
    bytes: &'a [u8],
    identity: &Identity,
    cold: usize,
    entry: &Entry<'a>,
) -> Option<(u64, Option<DerivedRow<'a>>, u64)> {
    let number = entry.header().ticket_bits.checked_sub(u64::from(identity.five_digits) << 34)?;
    let view = match entry.cold.checked_sub(8) {
        None => ColdView::default(),
        Some(offset) => {
            let at = cold + usize::try_from(offset).ok()?;
            ColdView::decode(frame::decode(bytes.get(at..)?, identity.salt, at as u64).ok()?.payload)?
        }
    };
    let mut shots = 0;
    for index in 0..entry.shot_count as usize {
        let events = view.shot(index).events;
        let gone = !events.is_empty() && crate::life::shot_of(events)?.standing.reassigned_to != 0;
        shots += u64::from(!gone);
    }
    let my_number_hash = (!view.sealed_my_number.is_empty()).then_some(view.my_number_hash);
    let row = (!entry.row.is_empty()).then(|| DerivedRow {
        bytes: entry.row,
        active: counts_as_active(entry.row),
        my_number_hash,
    });
    Some((number, row, shots))
}
