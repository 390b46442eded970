//! The ticket line. An input is a text; bytes that are none are read as one with replacement characters.

use crate::ticket::{Ticket, TicketLine};

/// What parses prints back the digits that were read, and leads to a ticket that packs and unpacks; what does not is told in words.
pub fn ticket_line(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match TicketLine::parse(&text) {
        Ok(line) => check(line, &digits(&text)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Some(bytes) = input.first_chunk::<8>() {
        let value = u64::from_le_bytes(*bytes);
        match TicketLine::from_decimal(value) {
            Ok(line) => check(line, &format!("{value:018}")),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        match Ticket::from_bits(value) {
            Ok(ticket) => assert_eq!(ticket.to_bits(), value, "a ticket has the bits that it was read from"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn check(line: TicketLine, digits: &str) {
    let printed = line.to_string();
    assert_eq!(printed, digits, "a line prints the digits that it was read from");
    assert_eq!(TicketLine::parse(&printed), Ok(line));
    assert_eq!(TicketLine::from_decimal(line.to_decimal()), Ok(line));
    assert!(line.kind() <= 9 && line.dose() <= 9);
    let ticket = line.ticket();
    assert_eq!(format!("{:010}", ticket.number()), digits[8..], "the number is the last ten digits");
    assert_eq!(format!("{:06}", line.presented_municipality()), digits[2..8]);
    assert_eq!(Ticket::from_bits(ticket.to_bits()), Ok(ticket));
    assert_eq!(Ticket::from_decimal(ticket.to_decimal()), Ok(ticket));
}

/// The digits in a text, half-width.
fn digits(text: &str) -> String {
    let wide = |character: char| char::from_digit(u32::from(character).checked_sub(u32::from('０'))?, 10);
    text.chars().filter_map(|c| if c.is_ascii_digit() { Some(c) } else { wide(c) }).collect()
}
