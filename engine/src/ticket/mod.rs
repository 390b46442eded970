//! What stands on paper and what it means: ticket lines, municipalities, My Number and dates.
//!
//! Owns the way from text to a value that cannot be wrong by itself, and back. Pure: no disk, no clock, no register. Whether
//! a well-formed ticket *exists* is for the ledger to say, and whether a shot is plausible for the quality rules.
//!
//! Read in the order text moves: [`Digits`] brings what was typed or scanned to ASCII digits; [`Municipality`] is one of the
//! 1,741 of the published list; [`Ticket`] is municipality and number, the key of everything; [`TicketLine`] is the 18
//! digits of a stub. [`MyNumber`], [`Date`] and [`BirthDate`] come from register rows and shots.
//!
//! Invariants: a value of these types holds only what its constructor checked, so nothing below re-checks it; reading
//! does not allocate; errors are for the operator and say what was expected, where, and what to do next.

mod birth_date;
mod date;
mod digits;
mod line;
mod municipality;
mod municipality_table;
mod my_number;
mod number;

pub use birth_date::BirthDate;
pub use date::{Date, DateError};
pub use digits::{Digits, DigitsError};
pub use line::{TicketLine, TicketLineError};
pub use municipality::{Municipality, MunicipalityError, check_digit as municipality_check_digit};
pub use my_number::{MyNumber, MyNumberError, check_digit as my_number_check_digit};
pub(crate) use number::{ANY_NUMBER_MAX, PROVISIONAL_NUMBERS};
pub use number::{NUMBER_MAX, Ticket, TicketError, TicketNumberError, parse_number};
