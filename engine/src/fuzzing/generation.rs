//! The generation file. An input is a salt and the sections of a file, which this file lays out:
//!
//! ```text
//! | flags (u8) | salt (u64) | number of patches (u8) | patch: offset (u16), bits to turn over (u8) | …
//! | lengths of entries, index, look-up, dictionary (u16 each) | entries | index | look-up | dictionary | the rest: cold |
//! ```
//!
//! The flags say what is made right before it is read. Patches change the file that was laid out: header, footer, or whatever their offset meets.

use std::collections::BTreeMap;
use std::sync::Arc;

use sesshu_proto::v1::RecordedShot;

use super::memory::MemoryDisk;
use super::repair::{Parts, checksum, frame_size, put_u32, put_u64, seal_frames, seal_header};
use crate::StoreId;
use crate::error::Damage;
use crate::frame::{Salt, u64_at};
use crate::generation::{self, Candidates, Generation, Identity, OpenGenerationError};
use crate::ledger::{Horizon, Installed, Ledger, Match, Moment, Person, Step};
use crate::limits::FILE_HEADER_BYTES;
use crate::log::Segments;
use crate::lookup::Key;
use crate::lookup::LookupKey;
use crate::stored::ShotView;
use crate::ticket::{ANY_NUMBER_MAX, Municipality, Ticket};

/// Checksums of entries and cold entries are made to match.
const FRAMES: u8 = 1;
/// Checksums of sections match; else none does.
const SECTIONS: u8 = 2;
/// The footer's checksum is made to match after the patches.
const FOOTER: u8 = 4;
/// The index is that of the entries which are there.
const INDEX: u8 = 8;

const FOOTER_BYTES: usize = 512;
const GENERATION: u64 = 1;
const FOLDED_POSITION: u64 = 8192;
/// What the entries know of themselves is known since this event.
const INSTALLED: (u64, u64) = (7, 1_618_190_000_000);

/// Whatever a generation holds: it opens or is damaged; a question about a ticket ends with an answer about that ticket, with nothing, or with damage; the
/// whole ledger is read in order up to its end or to damage; and a person's row, shots and counts agree.
pub fn generation(input: &[u8]) {
    let chiyoda = Municipality::from_five_digits(13_101).expect("the code of a municipality");
    let mut parts = Parts(input);
    let flags = parts.u8();
    let salt = parts.u64();
    let identity = Identity {
        store_id: StoreId([7; 16]),
        lookup_key: LookupKey([7; 16]),
        five_digits: chiyoda.five_digits(),
        generation: GENERATION,
        salt: Salt(salt),
        folded_position: FOLDED_POSITION,
    };
    let file = file(&mut parts, flags, &identity);
    let length = file.len() as u64;
    let disk = MemoryDisk::default();
    disk.put(generation::path(chiyoda, GENERATION), file, 0);
    let opened = match Generation::open(&disk, chiyoda, identity, length) {
        Ok(generation) => generation,
        Err(OpenGenerationError::Damaged(damage)) => return assert_eq!(damage.municipality, Some(chiyoda)),
        Err(OpenGenerationError::Newer(_)) => return,
        Err(OpenGenerationError::Disk(error)) => panic!("memory does not fail: {error}"),
    };
    let sound = flags & SECTIONS != 0;
    let (walked, whole) = walk(&opened, chiyoda);
    assert!(sound || walked.is_empty(), "entries were read whose dictionary does not validate");
    let installed = Installed { since: INSTALLED, ..Installed::default() };
    let ledger = Ledger::new(chiyoda).with_generation(opened, installed, &Segments::default());
    let ledger = Arc::new(ledger.expect("a tail without events has no damage"));
    let mut asked: Vec<u64> = walked.keys().copied().collect();
    asked.extend([0, 1, 2, 3, 4, 5, 6, ANY_NUMBER_MAX]);
    let mut resident_numbers = vec![String::new(), "00000001".to_owned()];
    for number in asked {
        let row = walked.get(&number).filter(|_| whole);
        match ask(&ledger, chiyoda, number, row) {
            Ok(found) => {
                assert!(sound, "a ticket was looked up in an index that does not validate");
                resident_numbers.extend(found);
            }
            Err(damage) => assert_eq!(damage.municipality, Some(chiyoda)),
        }
    }
    let generation = ledger.generation.as_ref().expect("it was put there");
    for resident_number in resident_numbers {
        let key = Key::resident_number(&resident_number);
        match generation.look_up(key.kind(), key.hash(identity.lookup_key)) {
            Ok(Candidates::These(numbers)) => assert!(numbers.len() as u64 <= length / 8, "the look-up ends"),
            // A patch may have taken its tag.
            Ok(Candidates::Any) => {}
            Err(damage) => assert_eq!(damage.municipality, Some(chiyoda)),
        }
    }
}

/// Reads every entry. Returns the rows of those that came before damage, and whether there was none.
fn walk(generation: &Generation, municipality: Municipality) -> (BTreeMap<u64, Vec<u8>>, bool) {
    let mut walked = BTreeMap::new();
    for entry in generation.entries() {
        let Ok((number, entry)) = entry else { return (walked, false) };
        let ticket =
            Ticket::of_any_number(municipality, number).expect("an entry whose number is no ticket's was read");
        assert_eq!(entry.header().ticket_bits, ticket.to_bits(), "an entry of another municipality was read");
        assert!(!entry.row.is_empty() || entry.shot_count > 0, "an entry of nothing was read");
        assert!(walked.last_key_value().is_none_or(|(&last, _)| last < number), "entries come in order");
        walked.insert(number, entry.row.to_vec());
        let mut shots = 0;
        for shot in entry.shots() {
            let Some(shot) = shot else { break };
            let _ = generation.shot(&shot);
            shots += 1;
        }
        assert!(shots <= entry.shot_count);
        let _ = generation.cold(&entry);
    }
    (walked, true)
}

/// Asks for one ticket as a match does. `row` is what a walk over a whole ledger found. Returns the resident number, if there is one.
fn ask(
    ledger: &Ledger,
    municipality: Municipality,
    number: u64,
    row: Option<&Vec<u8>>,
) -> Result<Option<String>, Damage> {
    let horizon = Horizon { segments: Segments::default(), sequence: 9 };
    let ticket = Ticket::of_any_number(municipality, number).expect("a number of 34 bits");
    let found = Step::begin(ledger, &horizon.segments, ticket).finish(ticket, ledger, &horizon);
    let (person, matched) = match &found {
        Match::Matched(person) => (person, true),
        Match::Orphan(person) => (person, false),
        Match::NotFound => return Ok(None),
        Match::Damaged(damage) => return Err(damage.clone()),
    };
    check(person, ticket, matched);
    let _ =
        (person.row_versions(), person.known_at(Moment::Sequence(3)), person.each_own_life(|life| drop(life.events())));
    assert!(
        row.is_none_or(|row| row == person.own_bytes().expect("no event changed it")),
        "a match and a walk over the ledger find the same row"
    );
    Ok(person.own_resident()?.map(|resident| resident.resident_number))
}

fn check(person: &Person<'_>, ticket: Ticket, matched: bool) {
    assert_eq!(person.ticket(), ticket);
    let bytes = person.own_bytes().expect("no event changed it");
    assert_eq!(bytes.is_empty(), !matched, "who matched has a row");
    if let Ok(recorded) = person.own_recorded_shots() {
        assert_eq!(recorded.len(), person.own_shots_max(), "as many shots as were counted");
    }
    if let Ok(resident) = person.own_resident() {
        assert_eq!(resident.is_some(), matched);
    }
    // Links may lead anywhere, and back.
    if let Ok(tickets) = person.tickets() {
        assert!(tickets.iter().all(|other| other.municipality() == ticket.municipality()));
    }
    if let (Ok(shots), Ok(recorded)) = (person.shots(), person.recorded_shots()) {
        let same = |(shot, recorded): (&ShotView<'_>, &RecordedShot)| {
            let &RecordedShot { ticket, same_dose, .. } = recorded;
            *recorded == RecordedShot { ticket, same_dose, ..shot.to_recorded() }
        };
        assert!(shots.len() == recorded.len() && shots.iter().zip(&recorded).all(same), "both are the same shots");
    }
    if let Ok(resident) = person.resident() {
        assert!(resident.is_some() || !matched);
    }
}

/// Lays the sections of the input out as a file, by `docs/format.md`.
fn file(parts: &mut Parts<'_>, flags: u8, identity: &Identity) -> Vec<u8> {
    let salt = identity.salt.0;
    let patches: Vec<(u16, u8)> = (0..parts.u8() & 7).map(|_| (parts.u16(), parts.u8())).collect();
    let lengths = [parts.u16(), parts.u16(), parts.u16(), parts.u16(), u16::MAX];
    let mut file = header(identity);
    let mut footer = vec![0; FOOTER_BYTES];
    footer[0..8].copy_from_slice(b"SesshuGf");
    put_u32(&mut footer, 12, 5);
    let mut entries = Vec::new();
    for (index, length) in lengths.into_iter().enumerate() {
        let (tag, at) = (index as u32 + 1, 64 + index * 24);
        file.resize(file.len().next_multiple_of(if tag == 2 { 64 } else { 8 }), 0);
        let offset = file.len();
        let mut section = parts.bytes(length.into()).to_vec();
        if flags & FRAMES != 0 && (tag == 1 || tag == 5) {
            seal_frames(&mut section, salt, offset as u64);
        }
        if tag == 1 {
            entries = addresses(&section);
        }
        if flags & INDEX != 0 && tag == 2 {
            section = slots(&entries);
        }
        let crc = crc32fast::hash(&section) ^ if flags & SECTIONS != 0 { 0 } else { 1 };
        put_u32(&mut footer, at, tag);
        put_u32(&mut footer, at + 4, crc);
        put_u64(&mut footer, at + 8, offset as u64);
        put_u64(&mut footer, at + 16, section.len() as u64);
        file.append(&mut section);
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let length = file.len() + FOOTER_BYTES;
    put_u64(&mut footer, 16, length as u64);
    put_u64(&mut footer, 24, entries.len() as u64);
    seal_footer(&mut footer, salt, length);
    file.append(&mut footer);
    for (at, bits) in patches {
        // From the end, where the footer is; the header is as near as the sections are short.
        file[length - 1 - usize::from(at) % length] ^= bits;
    }
    if flags & FOOTER != 0 {
        seal_footer(&mut file[length - FOOTER_BYTES..], salt, length);
    }
    file
}

fn header(identity: &Identity) -> Vec<u8> {
    let mut copy = [0; 64];
    copy[0..8].copy_from_slice(b"SesshuGn");
    put_u32(&mut copy, 8, crate::FORMAT_VERSION);
    copy[16..32].copy_from_slice(&identity.store_id.0);
    put_u32(&mut copy, 32, identity.five_digits);
    put_u64(&mut copy, 40, identity.generation);
    put_u64(&mut copy, 48, identity.salt.0);
    put_u64(&mut copy, 56, identity.folded_position);
    seal_header(&mut copy, 12);
    let mut bytes = vec![0; FILE_HEADER_BYTES as usize];
    bytes[..64].copy_from_slice(&copy);
    bytes[4096..4160].copy_from_slice(&copy);
    bytes
}

fn seal_footer(footer: &mut [u8], salt: u64, file_length: usize) {
    let crc = checksum(salt, file_length as u64, FOOTER_BYTES as u32, &footer[12..]);
    put_u32(footer, 8, crc);
}

/// Ticket number and address of every entry.
fn addresses(section: &[u8]) -> Vec<(u64, u64)> {
    let mut addresses = Vec::new();
    let mut at = 0;
    while let Some(size) = frame_size(&section[at..]) {
        let number = u64_at(section, at + 16) & ((1 << 34) - 1);
        addresses.push((number, FILE_HEADER_BYTES + at as u64));
        at += size;
    }
    addresses
}

/// The slot table of these keys and addresses.
fn slots(pairs: &[(u64, u64)]) -> Vec<u8> {
    let lines = (pairs.len() * 4).div_ceil(3).div_ceil(8).max(1);
    let mut slots = vec![0_u64; lines * 8];
    for &(key, address) in pairs {
        let mut x = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^= x >> 33;
        let home = ((u128::from(x) * lines as u128) >> 64) as usize * 8;
        let free = (0..slots.len()).map(|step| (home + step) % slots.len()).find(|&at| slots[at] == 0);
        slots[free.expect("a quarter of the slots stays free")] = (key << 30) | (address / 8);
    }
    slots.into_iter().flat_map(u64::to_le_bytes).collect()
}
