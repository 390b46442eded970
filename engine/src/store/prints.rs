//! Rows of one register that share what only one of them should have.
//!
//! Owns the search: a print of 64 bits for each value, keyed with numbers drawn for this load alone, so that nobody can choose values whose prints meet and no
//! print says anything of its value. Equal prints are told as equal values. Of 3.8 million rows, the largest register, two differing values meet once in two
//! million loads; what follows is a remark.

use std::io;

use siphasher::sip::SipHasher13;

use super::fold::Staged;
use crate::intake::{Remark, RemarkCode, of_shared};
use crate::platform::Environment;
use crate::ticket::MyNumber;

/// Remarks of one kind that are listed; all are counted.
pub const SHARED_LISTED_MAX: usize = 10_000;

/// How many rows of a register share a value with another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedCounts {
    /// A resident number.
    pub resident_numbers: u64,
    /// A My Number.
    pub my_numbers: u64,
}

/// What the search found.
pub(super) struct SharedRows {
    /// By line.
    pub(super) listed: Vec<Remark>,
    pub(super) counts: SharedCounts,
}

/// The key of one load's prints.
pub(super) struct Prints {
    keyed: SipHasher13,
}

impl Prints {
    pub(super) fn new(environment: &dyn Environment) -> io::Result<Prints> {
        let keyed = SipHasher13::new_with_keys(environment.random_u64()?, environment.random_u64()?);
        Ok(Prints { keyed })
    }

    /// Never 0.
    pub(super) fn of_my_number(&self, number: MyNumber) -> u64 {
        self.of_bytes(&number.reveal().to_le_bytes())
    }

    fn of_bytes(&self, bytes: &[u8]) -> u64 {
        self.keyed.hash(bytes).max(1)
    }

    /// The rows that share a resident number or a My Number.
    pub(super) fn shared(&self, rows: &[Staged], arena: &[u8]) -> SharedRows {
        let resident_number = |row: &Staged| match row.resident_number(arena) {
            [] => 0,
            number => self.of_bytes(number),
        };
        let (mut listed, resident_numbers) = same(rows, RemarkCode::SharedResidentNumber, resident_number);
        let (of_my_numbers, my_numbers) = same(rows, RemarkCode::SharedMyNumber, |row| row.my_number_print);
        listed.extend(of_my_numbers);
        listed.sort_by_key(|remark| remark.line);
        SharedRows { listed, counts: SharedCounts { resident_numbers, my_numbers } }
    }
}

/// The rows whose print another has too, and how many they are. Print 0 is no value.
fn same(rows: &[Staged], code: RemarkCode, print: impl Fn(&Staged) -> u64) -> (Vec<Remark>, u64) {
    let mut prints: Vec<(u64, u64)> =
        rows.iter().map(|row| (print(row), row.line)).filter(|&(print, _)| print != 0).collect();
    prints.sort_unstable();
    let (mut listed, mut count) = (Vec::new(), 0);
    for group in prints.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        count += group.len() as u64;
        for (at, &(_, line)) in group.iter().enumerate().take(SHARED_LISTED_MAX - listed.len()) {
            listed.push(of_shared(line, code, group[usize::from(at == 0)].1));
        }
    }
    (listed, count)
}
