//! A year in the shape of the real one, in small: what the store holds is what a recount of the input gives.

use sesshu_tests::year::Year;
use sesshu_tests::{Place, seed};

#[test]
fn a_year_is_what_a_recount_of_its_input_gives() {
    let place = Place::in_memory();
    let year = Year { residents: 4000, municipalities: 9, seed: seed(), store: place.path() };
    match year.play() {
        Ok(summary) => println!("{summary}"),
        Err(failed) => panic!("{failed}"),
    }
}
