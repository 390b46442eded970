//! Municipalities against the whole published list.
//!
//! Owns the tests of `municipality`, in a file of their own because the module is long without them. What they hold the
//! module to is the list in `municipality_table`, which two independent packages agree on, and the examples that the
//! list's publisher or its users print: if a regenerated table changes one of the counts below, a merger or a change of
//! wards has happened, and stored keys must be looked at before the count is.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// In the published list, but without an administration: 色丹村, 泊村, 留夜別村, 留別村, 紗那村, 蘂取村.
const NORTHERN_TERRITORIES: [u32; 6] = [16_951, 16_969, 16_977, 16_985, 16_993, 17_001];

fn every_published_code() -> impl Iterator<Item = u32> {
    let prefectures = PREFECTURES.iter().map(|&(code, _)| code);
    let municipalities = MUNICIPALITIES.iter().map(|&(code, _)| code);
    let wards = WARDS.iter().map(|&(code, _)| code);
    prefectures.chain(municipalities).chain(wards).chain(NORTHERN_TERRITORIES)
}

#[test]
fn there_are_1741_municipalities_in_47_prefectures() {
    assert_eq!(Municipality::COUNT, 1_741);
    assert_eq!(Municipality::all().len(), 1_741);
    assert_eq!(PREFECTURES.len(), 47);
    let names: HashSet<_> = Municipality::all().map(Municipality::prefecture).collect();
    assert_eq!(names.len(), 47);
}

#[test]
fn every_published_code_has_the_check_digit_of_the_formula() {
    let codes: HashSet<u32> = every_published_code().collect();
    assert_eq!(codes.len(), 47 + 1_741 + 178 + 6, "every code is published once");
    for code in codes {
        assert_eq!(u32::from(check_digit(code / 10)), code % 10, "{code:06}");
    }
}

#[test]
fn check_digits_of_the_documented_examples() {
    for (five_digits, check) in [(13_101, 6), (1_100, 2), (1_101, 1), (1_107, 0), (14_100, 3), (47_201, 8), (11_224, 1)]
    {
        assert_eq!(check_digit(five_digits), check, "{five_digits:05}");
    }
}

#[test]
fn every_spelling_of_every_municipality_leads_back_to_it() {
    for (ordinal, municipality) in Municipality::all().enumerate() {
        assert_eq!(municipality.ordinal(), ordinal);
        assert_eq!(Municipality::from_ordinal(ordinal), Some(municipality));
        assert_eq!(Municipality::from_code(municipality.code()), Ok(municipality));
        assert_eq!(Municipality::from_five_digits(municipality.five_digits()), Some(municipality));
        assert_eq!(Municipality::parse(&municipality.to_string()), Ok(municipality));
        assert_eq!(municipality.to_string().len(), 6);
    }
    assert_eq!(Municipality::from_ordinal(Municipality::COUNT), None);
    assert!(Municipality::all().is_sorted());
}

#[test]
fn every_ward_is_read_as_its_city() {
    assert_eq!(WARDS.len(), 178);
    let mut cities = HashSet::new();
    for &(ward, city) in &WARDS {
        let municipality = Municipality::from_code(ward).expect("a ward has a city");
        assert_eq!(municipality.code(), city);
        assert_eq!(ward / 10_000, city / 10_000, "{ward:06} and its city are in one prefecture");
        assert_eq!(Municipality::from_five_digits(ward / 10), None, "{ward:06} is no storage key");
        cities.insert(municipality.name());
    }
    assert_eq!(cities.len(), 20, "there are twenty designated cities");
    assert_eq!(Municipality::parse("011011").map(Municipality::code), Ok(11_002));
}

#[test]
fn hamamatsu_is_found_by_its_wards_of_before_and_after_2024() {
    for ward in [221_317, 221_325, 221_333, 221_341, 221_350, 221_368, 221_376, 221_384, 221_392, 221_406] {
        assert_eq!(Municipality::from_code(ward).map(Municipality::name), Ok("浜松市"), "{ward}");
    }
}

#[test]
fn tokyos_special_wards_are_municipalities() {
    let wards: Vec<_> = Municipality::all().filter(|m| (13_101..=13_123).contains(&m.five_digits())).collect();
    assert_eq!(wards.len(), 23);
    let chiyoda = wards[0];
    assert_eq!((chiyoda.code(), chiyoda.name(), chiyoda.prefecture()), (131_016, "千代田区", "東京都"));
}

#[test]
fn names_of_the_first_and_the_last() {
    let sapporo = Municipality::from_code(11_002).expect("Sapporo");
    assert_eq!((sapporo.ordinal(), sapporo.name(), sapporo.prefecture_number()), (0, "札幌市", 1));
    let yonaguni = Municipality::from_code(473_821).expect("Yonaguni");
    assert_eq!((yonaguni.ordinal(), yonaguni.name(), yonaguni.prefecture()), (1_740, "与那国町", "沖縄県"));
}

#[test]
fn a_code_reads_the_same_as_text_of_any_width() {
    let chiyoda = Municipality::from_code(131_016);
    assert_eq!(Municipality::parse("131016"), chiyoda);
    assert_eq!(Municipality::parse("１３１０１－６"), chiyoda);
    assert_eq!(format!("{chiyoda:?}"), "Ok(Municipality(131016))");
    assert_eq!(Municipality::from_code(11_002).map(|m| m.to_string()), Ok("011002".to_owned()));
}

#[test]
fn a_prefecture_is_not_a_municipality() {
    for &(code, _) in &PREFECTURES {
        assert_eq!(Municipality::from_code(code), Err(MunicipalityError::Prefecture { code }));
        assert_eq!(Municipality::from_five_digits(code / 10), None);
    }
    assert_eq!(
        Municipality::parse("130001").expect_err("Tokyo").to_string(),
        "130001 is the code of a prefecture; give the code of one of its municipalities"
    );
}

#[test]
fn a_village_that_issues_no_tickets_is_unknown() {
    for code in NORTHERN_TERRITORIES {
        assert_eq!(Municipality::from_code(code), Err(MunicipalityError::Unknown { code }));
    }
}

#[test]
fn a_wrong_check_digit_is_told_with_the_right_one() {
    let error = Municipality::parse("011003").expect_err("Sapporo is 011002");
    assert_eq!(error, MunicipalityError::CheckDigit { code: 11_003, expected: 2 });
    assert_eq!(
        error.to_string(),
        "digit 6 of 011003 (the check digit) is 3, but 01100 asks for 2; compare the code with its source"
    );
}

#[test]
fn what_is_not_six_digits_is_refused() {
    let length = |found| Err(MunicipalityError::Text(DigitsError::Length { expected: 6, found }));
    assert_eq!(Municipality::parse("13101"), length(5));
    assert_eq!(Municipality::parse("1310160"), length(7));
    let not_a_digit = DigitsError::NotADigit { position: 6, character: 'X' };
    assert_eq!(Municipality::parse("13101X"), Err(MunicipalityError::Text(not_a_digit)));
    assert_eq!(Municipality::from_code(1_310_160), Err(MunicipalityError::OutOfRange { code: 1_310_160 }));
}

#[test]
fn only_published_codes_are_accepted() {
    let accepted: HashSet<u32> = (0..1_000_000).filter(|&code| Municipality::from_code(code).is_ok()).collect();
    assert_eq!(accepted.len(), 1_741 + 178);
    let keys = (0..=100_000).filter(|&five_digits| Municipality::from_five_digits(five_digits).is_some()).count();
    assert_eq!(keys, 1_741);
}

/// The figures that the documentation gives for what the check digit and the list can and cannot catch.
#[test]
fn one_misread_digit_is_nearly_always_caught() {
    let (mut misreads, mut past_check_digit, mut another_code) = (0_u32, 0_u32, 0_u32);
    for code in Municipality::all().map(Municipality::code).chain(WARDS.iter().map(|&(ward, _)| ward)) {
        for place in (0..6).map(|exponent| 10_u32.pow(exponent)) {
            let digit = code / place % 10;
            for misread in (0..10).filter(|&misread| misread != digit).map(|other| code - digit * place + other * place)
            {
                misreads += 1;
                past_check_digit += u32::from(u32::from(check_digit(misread / 10)) == misread % 10);
                another_code += u32::from(Municipality::from_code(misread).is_ok());
            }
        }
    }
    let share = |count: u32| f64::from(count) / f64::from(misreads);
    assert!(share(past_check_digit) < 0.016, "{}", share(past_check_digit));
    assert!(share(another_code) < 0.004, "{}", share(another_code));
}

proptest! {
    #[test]
    fn no_code_panics(code: u32) {
        let _ = Municipality::from_code(code);
        let _ = Municipality::from_five_digits(code);
        let _ = Municipality::from_ordinal(code as usize);
    }
}
