//! The corpora of the fuzz targets, and what a stable compiler can do with them.
//!
//! Owns the smoke run of a fuzz target: every input of its corpus, and then some thousands of inputs that are made of them by small seeded changes. A fuzzer
//! that learns from what its inputs reach is `fuzz/`'s. An input that breaks a property is printed in hexadecimal.

use std::path::{Path, PathBuf};

use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt};

use crate::{files_below, rng};

/// Bytes that an input grows to at most.
const INPUT_BYTES_MAX: usize = 8 << 10;

/// Runs `property` on the corpus of a fuzz target, and on `changed` inputs more. The seed is printed; `SESSHU_SEED` repeats a run.
pub fn smoke(target: &str, changed: usize, property: impl Fn(&[u8])) {
    let folder = corpus(target);
    let inputs: Vec<Vec<u8>> =
        files_below(&folder).iter().map(|path| std::fs::read(path).expect("an input of the corpus")).collect();
    assert!(inputs.len() >= 3, "{} holds a corpus", folder.display());
    let run = |input: &[u8]| {
        let told = Told(input);
        property(told.0);
    };
    inputs.iter().for_each(|input| run(input));
    let mut rng = rng();
    for _ in 0..changed {
        run(&change_some(&inputs, &mut rng));
    }
}

/// Where the inputs of a target lie.
fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

/// Prints an input when the property that it breaks panics.
struct Told<'a>(&'a [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("the input that broke the property: {hex}");
        }
    }
}

/// An input of the corpus after one to four small changes.
fn change_some(inputs: &[Vec<u8>], rng: &mut impl Rng) -> Vec<u8> {
    let mut input = inputs.choose(rng).expect("a corpus has inputs").clone();
    for _ in 0..rng.random_range(1..=4) {
        change(&mut input, inputs.choose(rng).expect("a corpus has inputs"), rng);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn change(input: &mut Vec<u8>, other: &[u8], rng: &mut impl Rng) {
    /// Where widths and signs end.
    const EDGES: [u64; 12] =
        [0, 1, 7, 8, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];
    let at = rng.random_range(0..=input.len());
    let span = rng.random_range(0..=(input.len() - at).min(64));
    match rng.random_range(0..8) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = rng.random();
            }
        }
        2 => {
            let width = *[1, 2, 4, 8].choose(rng).expect("there are four");
            let value = EDGES.choose(rng).expect("there are some").wrapping_add(rng.random_range(0..3)).to_le_bytes();
            for (byte, with) in input[at..].iter_mut().zip(&value[..width]) {
                *byte = *with;
            }
        }
        3 => drop(input.drain(at..at + span)),
        4 => {
            let copy = input[at..at + span].to_vec();
            let to = rng.random_range(0..=input.len());
            input.splice(to..to, copy);
        }
        5 => {
            let new: Vec<u8> = (0..rng.random_range(1..16)).map(|_| rng.random()).collect();
            input.splice(at..at, new);
        }
        6 => input.truncate(at),
        _ => {
            let from = rng.random_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}
