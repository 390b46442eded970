//! The numbers people are known by: ticket number, resident number (宛名番号), My Number.
//!
//! Each is a function of the municipality and the resident's place in its register, so uniqueness is arithmetic and no set
//! of numbers given out is ever held:
//!
//! * tickets: from some start upwards, or scattered over ten digits, municipality by municipality, as printers did it;
//! * My Numbers: every municipality owns a block of 57,000,000 places on a line of 10^11, and one permutation for the whole
//!   seed turns places into the first eleven digits. The check digit follows from those;
//! * resident numbers: from a start upwards, 8 to 15 digits wide.
//!
//! Bad rows draw from the ends of both ranges, which no resident reaches: a bad row never carries a good row's number, in
//! its own municipality or in another.

use sesshu_engine::ticket::{Municipality, my_number_check_digit};

use super::draw::{Draws, Purpose, key};
use super::permutation::Permutation;

/// As many residents as one municipality may have: thirteen times the largest real one.
pub const RESIDENTS_PER_MUNICIPALITY_MAX: u64 = 50_000_000;
/// As many bad rows as one plan may have.
pub const BAD_ROWS_MAX: u64 = 50_000_000;

/// Ticket numbers of residents are 1..9,900,000,000, as 99,000 × 100,000; those of bad rows follow.
const TICKET_FACTORS: (u64, u64) = (99_000, 100_000);
const BAD_TICKETS_START: u64 = TICKET_FACTORS.0 * TICKET_FACTORS.1;

/// First eleven digits of My Numbers: 10^5 × 10^6.
const MY_NUMBER_FACTORS: (u64, u64) = (100_000, 1_000_000);
const MY_NUMBER_BLOCK: u64 = 57_000_000;
const MUNICIPALITIES_MAX: u64 = 1741;
const BAD_MY_NUMBERS_START: u64 = MUNICIPALITIES_MAX * MY_NUMBER_BLOCK;

const _: () =
    assert!(RESIDENTS_PER_MUNICIPALITY_MAX < MY_NUMBER_BLOCK, "a municipality's My Numbers stay in its block");
const _: () = assert!(
    BAD_MY_NUMBERS_START + BAD_ROWS_MAX < MY_NUMBER_FACTORS.0 * MY_NUMBER_FACTORS.1,
    "bad rows fit behind the blocks"
);
const _: () = assert!(BAD_TICKETS_START + BAD_ROWS_MAX < 10_000_000_000, "bad rows' tickets have ten digits");

/// A resident number: its value and how many digits it is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResidentNumber {
    /// Its value.
    pub value: u64,
    /// Its width, 8 to 15, filled with leading zeros.
    pub digits: u8,
}

/// How one municipality numbers its people.
pub(super) struct Numbering {
    tickets: Tickets,
    my_numbers: Permutation,
    my_number_block_start: u64,
    resident_number_start: u64,
    resident_number_step: u64,
    resident_number_digits: u8,
}

enum Tickets {
    Sequential { first: u64 },
    Scattered(Permutation),
}

impl Numbering {
    pub(super) fn of(seed: u64, municipality: Municipality) -> Numbering {
        let ordinal = municipality.ordinal() as u64;
        assert!(ordinal < MUNICIPALITIES_MAX, "My Number blocks are cut for 1,741 municipalities");
        let mut draws = Draws::keyed(key(seed, Purpose::ResidentNumbers, municipality.code()), 0);
        let tickets_key = key(seed, Purpose::TicketNumbers, municipality.code());
        let tickets = match draws.below(4) {
            0 => Tickets::Sequential { first: 1 },
            1 => Tickets::Sequential { first: (1 + draws.below(98)) * 10_000_000 + 1 },
            _ => Tickets::Scattered(Permutation::of_product(tickets_key, TICKET_FACTORS.0, TICKET_FACTORS.1)),
        };
        let resident_number_digits = u8::try_from(8 + draws.below(8)).expect("8 to 15");
        // Eight digits leave no room for gaps.
        let (resident_number_start, resident_number_step) = match resident_number_digits {
            8 => (1 + draws.below(40_000_000), 1),
            digits => (draws.below(4 * 10_u64.pow(u32::from(digits) - 1)), 1 + draws.below(9)),
        };
        Numbering {
            tickets,
            my_numbers: my_numbers(seed),
            my_number_block_start: ordinal * MY_NUMBER_BLOCK,
            resident_number_start,
            resident_number_step,
            resident_number_digits,
        }
    }

    /// The ticket number of the resident at `place`, never zero.
    pub(super) fn ticket_number(&self, place: u64) -> u64 {
        assert_in_register(place);
        match &self.tickets {
            Tickets::Sequential { first } => first + place,
            Tickets::Scattered(permutation) => permutation.apply_above_zero(place + 1),
        }
    }

    /// The My Number of the resident at `place`, twelve digits.
    pub(super) fn my_number(&self, place: u64) -> u64 {
        assert_in_register(place);
        with_check_digit(self.my_numbers.apply_above_zero(self.my_number_block_start + place + 1))
    }

    pub(super) fn resident_number(&self, place: u64) -> ResidentNumber {
        assert_in_register(place);
        ResidentNumber {
            value: self.resident_number_start + place * self.resident_number_step,
            digits: self.resident_number_digits,
        }
    }
}

/// The ticket number of bad row `index` of a plan: no resident of any municipality has it.
pub(super) const fn bad_row_ticket_number(index: u64) -> u64 {
    BAD_TICKETS_START + index
}

/// The My Number of bad row `index` of a plan, valid and nobody's.
pub(super) fn bad_row_my_number(seed: u64, index: u64) -> u64 {
    with_check_digit(my_numbers(seed).apply_above_zero(BAD_MY_NUMBERS_START + 1 + index))
}

fn my_numbers(seed: u64) -> Permutation {
    Permutation::of_product(key(seed, Purpose::MyNumbers, 0), MY_NUMBER_FACTORS.0, MY_NUMBER_FACTORS.1)
}

fn with_check_digit(first_eleven: u64) -> u64 {
    first_eleven * 10 + u64::from(my_number_check_digit(first_eleven))
}

/// Plans above the limit are refused, but a caller of `residents` may still get here; above it numbers would repeat.
fn assert_in_register(place: u64) {
    assert!(place < RESIDENTS_PER_MUNICIPALITY_MAX, "a register ends at {RESIDENTS_PER_MUNICIPALITY_MAX} residents");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sesshu_engine::ticket::Municipality;

    use super::{Numbering, RESIDENTS_PER_MUNICIPALITY_MAX, bad_row_my_number, bad_row_ticket_number};

    #[test]
    fn numbers_fit_their_digits_at_both_ends_of_the_largest_register() {
        for municipality in Municipality::all() {
            let numbering = Numbering::of(3, municipality);
            for place in [0, RESIDENTS_PER_MUNICIPALITY_MAX - 1] {
                assert!((1..9_900_000_000).contains(&numbering.ticket_number(place)));
                assert!(numbering.my_number(place) < 1_000_000_000_000);
                let resident = numbering.resident_number(place);
                assert!(resident.value < 10_u64.pow(u32::from(resident.digits)), "{municipality}: {resident:?}");
            }
        }
    }

    #[test]
    fn my_numbers_do_not_repeat_across_municipalities_and_bad_rows() {
        let mut seen = HashSet::new();
        for municipality in Municipality::all().take(50) {
            let numbering = Numbering::of(3, municipality);
            assert!((0..1000).all(|place| seen.insert(numbering.my_number(place))));
        }
        assert!((0..1000).all(|index| seen.insert(bad_row_my_number(3, index))));
    }

    #[test]
    fn bad_rows_have_tickets_of_ten_digits() {
        assert_eq!(bad_row_ticket_number(0), 9_900_000_000);
    }
}
