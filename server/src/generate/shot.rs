//! The shots of one municipality's residents: at most two each, dose 1 before dose 2.
//!
//! Residents are gone through in a shuffled order, once for those whom the campaign was for, aged 12 and over and still
//! living there, and again for the others if the number asked for cannot be reached without them. The order is a
//! permutation and residents are drawn anew from their place, so nothing is remembered. Almost everybody who came once came
//! twice, as in the real campaign: of the shots, 52 % are first doses, or as many as the numbers allow.

use std::sync::Arc;

use sesshu_engine::ticket::{Date, Municipality, Ticket, TicketLine};

use super::campaign::{Appointment, Campaign, Maker, Venue};
use super::draw::{Draws, Purpose, key, mix};
use super::permutation::Permutation;
use super::resident::{GeneratedResident, Movement, Register};

/// The kind digit of a stub for a shot. The real digit is not published; engines take it as configured.
const SHOT_STUB_KIND: u64 = 2;
/// Completed years on the day ages are taken: the campaign was for people of 12 and over.
const YOUNGEST: u32 = 12;
/// The day ages are taken, YYYYMMDD: the difference of two such numbers, over 10,000, is an age.
const CAMPAIGN_START: u32 = 20_210_412;
const FIRST_DOSES_PER_HUNDRED: u64 = 52;

/// An invented shot.
#[derive(Clone, Debug)]
pub struct GeneratedShot {
    /// The 18 digits of the stub; its dose digit is the dose.
    pub line: TicketLine,
    /// The resident's ticket.
    pub ticket: Ticket,
    /// 1 or 2.
    pub dose: u8,
    /// When it was given.
    pub date: Date,
    /// What was given.
    pub maker: Maker,
    /// From which lot.
    pub lot: Arc<str>,
    /// Where.
    pub venue: Arc<Venue>,
    /// By whom, a place in the venue's doctors.
    pub doctor: usize,
    /// 20 ASCII characters, unique over all shots of a seed: four of the seed, the municipality, a count.
    pub capture_id: String,
}

/// `count` shots of the first `residents` residents of a municipality, both shots of a resident one after the other.
///
/// # Panics
/// If `count` is above twice `residents`; and like [`residents`](super::residents()).
pub fn shots_of(
    seed: u64,
    municipality: Municipality,
    residents: u64,
    count: u64,
) -> impl Iterator<Item = GeneratedShot> {
    assert!(count.div_ceil(2) <= residents, "{count} shots are more than two for each of {residents} residents");
    // At least half, since nobody comes a third time; at most everybody.
    let first_doses = (count * FIRST_DOSES_PER_HUNDRED).div_ceil(100).max(count.div_ceil(2)).min(count).min(residents);
    Shots {
        key: key(seed, Purpose::Shots, municipality.code()),
        register: Register::new(seed, municipality),
        campaign: Campaign::of(seed, municipality, residents),
        order: Permutation::of_length(key(seed, Purpose::ShotOrder, municipality.code()), residents),
        residents,
        turns_taken: 0,
        first_doses_left: first_doses,
        second_doses_left: count - first_doses,
        back_again: None,
        capture_prefix: format!("{}{municipality}-", seed_mark(seed)),
        captures: 0,
    }
}

/// The residents' queue.
struct Shots {
    key: u64,
    register: Register,
    campaign: Campaign,
    order: Permutation,
    residents: u64,
    /// Places looked at, over both rounds.
    turns_taken: u64,
    first_doses_left: u64,
    second_doses_left: u64,
    /// Who had dose 1 just now and has dose 2 coming.
    back_again: Option<Patient>,
    capture_prefix: String,
    captures: u64,
}

struct Patient {
    ticket: Ticket,
    appointment: Appointment,
    draws: Draws,
}

impl Iterator for Shots {
    type Item = GeneratedShot;

    fn next(&mut self) -> Option<GeneratedShot> {
        if let Some(mut patient) = self.back_again.take() {
            return Some(self.shot(&mut patient, 2));
        }
        if self.first_doses_left == 0 {
            return None;
        }
        let (place, resident) = self.next_resident()?;
        self.first_doses_left -= 1;
        let comes_twice = self.second_doses_left > 0;
        let mut draws = Draws::keyed(self.key, place);
        let appointment = self.campaign.appointment(&mut draws, age_in_campaign(&resident), comes_twice);
        let mut patient = Patient { ticket: resident.ticket, appointment, draws };
        let shot = self.shot(&mut patient, 1);
        if comes_twice {
            self.second_doses_left -= 1;
            self.back_again = Some(patient);
        }
        Some(shot)
    }
}

impl Shots {
    /// The next in the shuffled order, those for whom the campaign was first.
    fn next_resident(&mut self) -> Option<(u64, GeneratedResident)> {
        while self.turns_taken < self.residents * 2 {
            let first_round = self.turns_taken < self.residents;
            let place = self.order.apply(self.turns_taken % self.residents);
            self.turns_taken += 1;
            let resident = self.register.resident(place);
            if campaign_is_for(&resident) == first_round {
                return Some((place, resident));
            }
        }
        None
    }

    fn shot(&mut self, patient: &mut Patient, dose: u8) -> GeneratedShot {
        self.captures += 1;
        let appointment = &patient.appointment;
        GeneratedShot {
            line: ticket_line(patient.ticket, dose),
            ticket: patient.ticket,
            dose,
            date: appointment.date(dose),
            maker: appointment.maker,
            lot: self.campaign.lot(&mut patient.draws, appointment.maker, appointment.day(dose)),
            venue: Arc::clone(&appointment.venue),
            doctor: patient.draws.place_in(appointment.venue.doctors.len()),
            capture_id: format!("{}{:09}", self.capture_prefix, self.captures),
        }
    }
}

fn campaign_is_for(resident: &GeneratedResident) -> bool {
    resident.movement == Movement::None && age_in_campaign(resident) >= YOUNGEST
}

/// Completed years when the campaign began, or by the year alone where only that is known.
fn age_in_campaign(resident: &GeneratedResident) -> u32 {
    let born = resident.birth_date.yyyymmdd();
    (CAMPAIGN_START - born) / 10_000
}

fn ticket_line(ticket: Ticket, dose: u8) -> TicketLine {
    let decimal = (SHOT_STUB_KIND * 10 + u64::from(dose)) * 10_u64.pow(16)
        + u64::from(ticket.municipality().code()) * 10_u64.pow(10)
        + ticket.number();
    TicketLine::from_decimal(decimal).expect("18 digits with a municipality's own code are a ticket line")
}

/// Four characters of the seed, so that the shots of two seeds are not taken for repeats of each other in one store.
fn seed_mark(seed: u64) -> String {
    format!("{:04X}", mix(seed) >> 48)
}
