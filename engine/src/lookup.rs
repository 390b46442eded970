//! What a resident is looked up by, beside the ticket: the number that the municipality gave, names as they are folded, the My Number as a keyed hash.
//!
//! Owns the kinds of look-up, which fields of a row each takes, and the hash that stands for them in a generation. A hash is 34 bits, what a slot holds of a
//! key: whoever finds one compares the row. It is keyed with a secret of the store's: one question has one hash in all ledgers, and nobody can choose names
//! that collide. Pure.

use std::fmt;

use siphasher::sip::SipHasher13;

use crate::names::{fold_kana, fold_kana_into, fold_kanji, fold_kanji_into};
use crate::wire::take_field;

/// The key of a store's hashes: random, made with the store, and the same in one that is restored from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct LookupKey(pub(crate) [u8; 16]);

impl fmt::Debug for LookupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupKey(redacted)")
    }
}

/// Bits of a hash.
pub(crate) const HASH_BITS: u32 = 34;

/// A kind of look-up that a generation has a table of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    ResidentNumber,
    KanaAndBirthDate,
    Name,
    MyNumber,
}

impl Kind {
    /// In the order of the discriminants.
    pub(crate) const ALL: [Kind; 4] = [Kind::ResidentNumber, Kind::KanaAndBirthDate, Kind::Name, Kind::MyNumber];
}

/// What is asked for, folded.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    ResidentNumber(Box<str>),
    /// Folded kana; YYYYMMDD.
    KanaAndBirthDate(Box<str>, u32),
    /// Folded kanji.
    Name(Box<str>),
    /// The keyed hash of a My Number under one data key.
    MyNumber(u64),
}

impl Key {
    pub(crate) fn resident_number(text: &str) -> Key {
        Key::ResidentNumber(text.into())
    }

    pub(crate) fn kana_and_birth_date(kana: &str, birth_date: u32) -> Key {
        Key::KanaAndBirthDate(fold_kana(kana).into(), birth_date)
    }

    pub(crate) fn name(name: &str) -> Key {
        Key::Name(fold_kanji(name).into())
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Key::ResidentNumber(_) => Kind::ResidentNumber,
            Key::KanaAndBirthDate(..) => Kind::KanaAndBirthDate,
            Key::Name(_) => Kind::Name,
            Key::MyNumber(_) => Kind::MyNumber,
        }
    }

    /// What stands for it in the look-ups of a store's generations.
    pub(crate) fn hash(&self, lookup_key: LookupKey) -> u64 {
        let mut hasher = TextHasher::new(lookup_key);
        match self {
            Key::ResidentNumber(text) | Key::Name(text) => hasher.hash(self.kind(), text, 0),
            Key::KanaAndBirthDate(kana, birth_date) => hasher.hash(self.kind(), kana, *birth_date),
            Key::MyNumber(hash) => *hash,
        }
    }

    /// Whether a row is one that is looked for. Of a My Number only its hash is known here: every row may be.
    pub(crate) fn may_be_of(&self, row: &RowFields<'_>) -> bool {
        match self {
            Key::ResidentNumber(number) => row.resident_number == &**number,
            Key::KanaAndBirthDate(kana, birth_date) => {
                row.birth_date == *birth_date && fold_kana(row.name_kana) == **kana
            }
            Key::Name(name) => fold_kanji(row.name) == **name,
            Key::MyNumber(_) => true,
        }
    }
}

/// The fields of a row that it is looked up by, borrowed from the bytes of a `Resident`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RowFields<'a> {
    pub(crate) resident_number: &'a str,
    pub(crate) name: &'a str,
    pub(crate) name_kana: &'a str,
    pub(crate) birth_date: u32,
}

impl<'a> RowFields<'a> {
    /// Reads the fields of an encoded `Resident`; `None` if the bytes are none.
    pub(crate) fn of(mut resident: &'a [u8]) -> Option<RowFields<'a>> {
        let mut row = RowFields::default();
        while !resident.is_empty() {
            match take_field(&mut resident)? {
                (1, value) => row.resident_number = value.text()?,
                (2, value) => row.name = value.text()?,
                (3, value) => row.name_kana = value.text()?,
                (4, value) => row.birth_date = value.number_u32()?,
                _ => {}
            }
        }
        Some(row)
    }

    /// Everything that the row is looked up by, but its My Number.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        let number = (!self.resident_number.is_empty()).then(|| Key::resident_number(self.resident_number));
        let kana = Key::kana_and_birth_date(self.name_kana, self.birth_date);
        let kana = Some(kana).filter(|kana| !matches!(kana, Key::KanaAndBirthDate(kana, _) if kana.is_empty()));
        let name = Some(Key::name(self.name)).filter(|name| !matches!(name, Key::Name(name) if name.is_empty()));
        number.into_iter().chain(kana).chain(name)
    }
}

/// Hashes the rows of a generation, one after another, in the same memory.
pub(crate) struct RowHasher {
    hasher: TextHasher,
    kana: String,
    name: String,
}

/// The hashes of one row by [`Kind`]; `None` where the row has nothing to be looked up by. A My Number's is not among them.
pub(crate) type RowHashes = [Option<u64>; 3];

impl RowHasher {
    pub(crate) fn new(lookup_key: LookupKey) -> RowHasher {
        RowHasher { hasher: TextHasher::new(lookup_key), kana: String::new(), name: String::new() }
    }

    /// The hashes of a row, and its folded kana.
    pub(crate) fn hash(&mut self, row: &RowFields<'_>) -> (RowHashes, &str) {
        fold_kana_into(&mut self.kana, row.name_kana);
        fold_kanji_into(&mut self.name, row.name);
        let mut hash =
            |kind, text: &str, birth_date| (!text.is_empty()).then(|| self.hasher.hash(kind, text, birth_date));
        let hashes = [
            hash(Kind::ResidentNumber, row.resident_number, 0),
            hash(Kind::KanaAndBirthDate, &self.kana, row.birth_date),
            hash(Kind::Name, &self.name, 0),
        ];
        (hashes, &self.kana)
    }
}

/// Hashes texts under a store's key.
struct TextHasher {
    keyed: SipHasher13,
    message: Vec<u8>,
}

impl TextHasher {
    fn new(LookupKey(key): LookupKey) -> TextHasher {
        TextHasher { keyed: SipHasher13::new_with_key(&key), message: Vec::new() }
    }

    fn hash(&mut self, kind: Kind, text: &str, birth_date: u32) -> u64 {
        self.message.clear();
        self.message.extend_from_slice(text.as_bytes());
        // No text holds this byte, so what follows it is never a text's end.
        self.message.extend_from_slice(&[0xff, kind as u8]);
        self.message.extend_from_slice(&birth_date.to_le_bytes());
        // The whole message at once: in parts it takes several times as long.
        self.keyed.hash(&self.message) >> (64 - HASH_BITS)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use sesshu_proto::v1::Resident;

    use super::*;

    #[test]
    fn a_row_and_its_spellings_have_the_same_hashes() {
        let secret = LookupKey([7; 16]);
        let resident = Resident {
            resident_number: "00000007".into(),
            name: "渡邉　𠮷子".into(),
            name_kana: "ﾜﾀﾅﾍﾞ ﾖｼｺ".into(),
            birth_date: 19_560_203,
            ..Resident::default()
        };
        let bytes = resident.encode_to_vec();
        let row = RowFields::of(&bytes).unwrap();
        let mut hasher = RowHasher::new(secret);
        let (hashes, kana) = hasher.hash(&row);
        assert_eq!(kana, "ワタナベヨシコ");
        let asked = [
            Key::resident_number("00000007"),
            Key::kana_and_birth_date("わたなべよしこ", 19_560_203),
            Key::name("渡辺吉子"),
        ];
        for ((key, found), own) in asked.iter().zip(hashes).zip(row.keys()) {
            assert_eq!((Some(key.hash(secret)), key.may_be_of(&row), key == &own), (found, true, true));
            assert_eq!(key.hash(secret) >> HASH_BITS, 0);
            assert_ne!(key.hash(secret), key.hash(LookupKey([8; 16])));
        }
        assert!(!Key::kana_and_birth_date("ワタナベヨシコ", 19_560_204).may_be_of(&row));
        assert_eq!(RowHasher::new(secret).hash(&RowFields::default()).0, [None; 3]);
        assert_eq!(RowFields::default().keys().count(), 0);
    }
}
