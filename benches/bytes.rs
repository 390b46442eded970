//! How many bytes does a person take? Not a benchmark of time: it fills a store, reads its files by `docs/format.md`, and prints medians. A shot in the log,
//! with its frame; an entry with two folded shots; the index, for a ticket; and all of a generation, for a resident.

use std::fs;
use std::path::{Path, PathBuf};

use sesshu_benches::{Nation, RESIDENTS};

const SEGMENT_HEADER_BYTES: usize = 8 << 10;
const BATCH_MAGIC: &[u8] = b"Sbat";
const BATCH_HEADER_BYTES: usize = 48;
const FRAME_HEADER_BYTES: usize = 32;
const SHOT_RECORDED: u8 = 1;
const FOOTER_BYTES: usize = 512;
const ENTRIES_TAG: u32 = 1;
const INDEX_TAG: u32 = 2;

fn main() {
    let residents = *RESIDENTS;
    let nation = Nation::settle(Path::new(env!("CARGO_TARGET_TMPDIR")), residents).with_shots();
    let store = nation.store.path().to_owned();
    let shots: Vec<usize> = files(&store.join("log")).iter().flat_map(|path| shots(&read(path))).collect();
    assert_eq!(shots.len() as u64, 2 * residents, "every shot was read");
    print("bytes/shot-in-log", &shots);

    let nation = nation.folded();
    let (mut entries, mut index, mut whole) = (Vec::new(), 0, 0);
    for ledger in files(&store.join("ledgers")) {
        let bytes = read(files(&ledger).last().expect("a ledger has a generation"));
        entries.extend(frames(section(&bytes, ENTRIES_TAG)).map(|(_, size)| size));
        index += section(&bytes, INDEX_TAG).len();
        whole += bytes.len();
    }
    assert_eq!(entries.len() as u64, residents, "every entry was read");
    print("bytes/entry/shots=2", &entries);
    println!("{:<30} {:.1}", "bytes/index-a-ticket", index as f64 / residents as f64);
    println!("{:<30} {:.1}", "bytes/generation-a-resident", whole as f64 / residents as f64);
    drop(nation);
}

fn print(name: &str, sizes: &[usize]) {
    let mut sizes = sizes.to_vec();
    sizes.sort_unstable();
    let mean = sizes.iter().sum::<usize>() as f64 / sizes.len() as f64;
    let [p10, median, p90] = [1, 5, 9].map(|tenth| sizes[sizes.len() * tenth / 10]);
    println!("{name:<30} median {median}   mean {mean:.1}   p10 {p10}   p90 {p90}   ({} of them)", sizes.len());
}

/// The sizes of the shots in a segment of the log.
fn shots(segment: &[u8]) -> Vec<usize> {
    let (mut rest, mut sizes) = (&segment[SEGMENT_HEADER_BYTES..], Vec::new());
    while rest.starts_with(BATCH_MAGIC) {
        let (batch, after) = rest[BATCH_HEADER_BYTES..].split_at(word(rest, 8));
        sizes.extend(frames(batch).filter(|&(kind, _)| kind == SHOT_RECORDED).map(|(_, size)| size));
        rest = after;
    }
    sizes
}

/// Kind and size of the frames in `bytes`.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    std::iter::from_fn(move || {
        let kind = *bytes.get(8)?;
        let size = (FRAME_HEADER_BYTES + word(bytes, 0)).next_multiple_of(8);
        bytes = &bytes[size..];
        Some((kind, size))
    })
}

/// The section of a generation with this tag.
fn section(generation: &[u8], tag: u32) -> &[u8] {
    let footer = &generation[generation.len() - FOOTER_BYTES..];
    let mut sections = footer[64..].chunks_exact(24);
    let found = sections.find(|section| section[..4] == tag.to_le_bytes()).expect("a generation has the section");
    // Generations are below 4 GiB here.
    &generation[word(found, 8)..][..word(found, 16)]
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// What a directory holds, in order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of the store");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("a file of the store")
}
