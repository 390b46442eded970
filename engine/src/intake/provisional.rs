//! A person without a ticket, for whom a shot is recorded all the same.
//!
//! Owns the check of what is said of them, and the number that stands for their ticket. The number follows from kana and birth date: whoever comes again, or
//! sends the same record again, is found without being looked for. Two people whom it cannot tell apart share it; each shot says for whom it was recorded.

use sesshu_proto::v1::Provisional;

use super::fault::{Column, Fault, FaultCode, check_text};
use crate::limits;
use crate::names::fold_kana;
use crate::ticket::{BirthDate, Municipality, PROVISIONAL_NUMBERS, Ticket};

/// Checks what is said of a person without a ticket.
pub(super) fn check(person: &Provisional) -> Result<(), Fault> {
    check_text(Column::NameKana, &person.name_kana, limits::NAME_CHARACTERS_MAX)?;
    if fold_kana(&person.name_kana).is_empty() {
        return Err(Fault::new(Column::NameKana, FaultCode::Missing, "a person without a ticket has a name in kana"));
    }
    BirthDate::from_yyyymmdd(person.birth_date)
        .map_err(|error| Fault::new(Column::BirthDate, FaultCode::NotADate, error.to_string()))?;
    Ok(())
}

/// What stands for the ticket of a person of `municipality` of whom none is known, however their kana are typed.
#[must_use]
pub fn provisional_ticket(municipality: Municipality, person: &Provisional) -> Ticket {
    let mut message = fold_kana(&person.name_kana).into_bytes();
    // No text holds this byte, so what follows it is never a name's end.
    message.push(0xff);
    message.extend_from_slice(&person.birth_date.to_le_bytes());
    let hash = blake3::hash(&message);
    let (first, _) = hash.as_bytes().split_first_chunk().expect("32 bytes");
    Ticket::provisional(municipality, u64::from_le_bytes(*first) % PROVISIONAL_NUMBERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name_kana: &str, birth_date: u32) -> Provisional {
        Provisional { name_kana: name_kana.into(), birth_date }
    }

    #[test]
    fn the_number_follows_from_kana_and_birth_date() {
        let [chiyoda, naha] = ["131016", "472018"].map(|code| Municipality::parse(code).unwrap());
        let ticket = provisional_ticket(chiyoda, &person("ワタナベ　ヨシコ", 19_560_203));
        // It is printed and kept by people: it must never be another.
        assert_eq!(ticket.to_string(), "P1310161852383005");
        assert_eq!(provisional_ticket(chiyoda, &person("ﾜﾀﾅﾍﾞ ﾖｼｺ", 19_560_203)), ticket);
        assert_eq!(provisional_ticket(chiyoda, &person("わたなべよしこ", 19_560_203)), ticket);
        assert_eq!(provisional_ticket(naha, &person("ワタナベ　ヨシコ", 19_560_203)).number(), ticket.number());
        assert_ne!(provisional_ticket(chiyoda, &person("ワタナベ　ヨシコ", 19_560_204)), ticket);
        assert_ne!(provisional_ticket(chiyoda, &person("ワタナベ　ヨシオ", 19_560_203)), ticket);
    }

    #[test]
    fn a_person_has_kana_and_a_birth_date() {
        let fault = |name_kana: &str, birth_date| check(&person(name_kana, birth_date)).err().map(|fault| fault.column);
        assert_eq!(fault("ワタナベ ヨシコ", 19_560_203), None);
        assert_eq!(fault("ワタナベ ヨシコ", 19_560_000), None, "month and day may not be known");
        for name_kana in ["", "　", "・", "\u{7}ワタナベ", &"ア".repeat(61)] {
            assert_eq!(fault(name_kana, 19_560_203), Some(Column::NameKana), "{name_kana:?}");
        }
        for birth_date in [0, 203, 19_561_301] {
            assert_eq!(fault("ワタナベ", birth_date), Some(Column::BirthDate), "{birth_date}");
        }
    }
}
