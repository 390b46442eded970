//! Invented names: family names by how common they are, given names by sex and time of birth, and rare spellings.
//!
//! The lists are in `data/`, one name a line, each file naming its source and licence; combinations are random, so no
//! person is meant. A name carries its reading and its CP932 bytes, encoded once when the lists are first used: a row then
//! costs copies and no encoding.
//!
//! About one resident in a hundred gets a rare spelling: outside the BMP, with a variation selector, a compatibility
//! ideograph, or in kana with long marks. They are few people and most of the trouble.

use std::sync::LazyLock;

use super::cp932::Gaiji;
use super::demography::Sex;
use super::draw::{Draws, Weighted};

const SURNAMES: &str = include_str!("data/surnames.tsv");
const GIVEN_NAMES: &str = include_str!("data/given_names.tsv");
const RARE_NAMES: &str = include_str!("data/rare_names.tsv");

/// First birth year of each era of the given names.
const ERAS: [u32; 5] = [1915, 1945, 1965, 1985, 2005];

const RARE_FAMILIES_PER_MILLION: u64 = 7_000;
const RARE_GIVENS_PER_MILLION: u64 = 3_000;

/// A family or a given name.
#[derive(Debug)]
pub struct Name {
    /// As it is written.
    pub written: &'static str,
    /// Its reading, in full-width katakana.
    pub reading: &'static str,
    pub(super) written_cp932: Vec<u8>,
    pub(super) reading_cp932: Vec<u8>,
}

/// A list with its weights.
struct List {
    names: Vec<Name>,
    weights: Weighted,
}

struct Names {
    families: List,
    rare_families: List,
    /// By sex, then era.
    givens: [[List; ERAS.len()]; 2],
    rare_givens: [List; 2],
}

static NAMES: LazyLock<Names> = LazyLock::new(Names::load);

/// A family name, now and then in a rare spelling.
pub(super) fn family(draws: &mut Draws) -> &'static Name {
    if draws.per_million(RARE_FAMILIES_PER_MILLION) { NAMES.rare_families.pick(draws) } else { common_family(draws) }
}

/// A family name that every encoding has.
pub(super) fn common_family(draws: &mut Draws) -> &'static Name {
    NAMES.families.pick(draws)
}

/// A given name usual for the sex and the year of birth, now and then in a rare spelling.
pub(super) fn given(draws: &mut Draws, sex: Sex, birth_year: u32) -> &'static Name {
    if draws.per_million(RARE_GIVENS_PER_MILLION) {
        return NAMES.rare_givens[given_list(sex, birth_year)].pick(draws);
    }
    common_given(draws, sex, birth_year)
}

/// A given name that every encoding has.
pub(super) fn common_given(draws: &mut Draws, sex: Sex, birth_year: u32) -> &'static Name {
    let era = ERAS.partition_point(|&first_year| first_year <= birth_year).saturating_sub(1);
    NAMES.givens[given_list(sex, birth_year)][era].pick(draws)
}

/// Where the sex is not stated, either kind of name.
fn given_list(sex: Sex, birth_year: u32) -> usize {
    match sex {
        Sex::Male => 0,
        Sex::Female => 1,
        Sex::NotStated => usize::from(birth_year.is_multiple_of(2)),
    }
}

impl Names {
    fn load() -> Names {
        // One numbering for all lists; the rare ones come first, since they alone need it.
        let mut gaiji = Gaiji::default();
        let rare = |place: &'static str| {
            rows(RARE_NAMES).filter_map(move |[of, written, reading]: [&'static str; 3]| {
                (of == place).then_some((written, reading, 1))
            })
        };
        let rare_families = List::new(rare("family"), &mut gaiji);
        let rare_givens = ["male", "female"].map(|place| List::new(rare(place), &mut gaiji));
        let families =
            List::new(rows(SURNAMES).map(|[written, reading, people]| (written, reading, number(people))), &mut gaiji);
        let givens = ["1", "2"].map(|sex| {
            ERAS.map(|era| {
                let of_era =
                    rows(GIVEN_NAMES).filter(|row: &[&str; 5]| row[0] == sex && number(row[1]) == u64::from(era));
                List::new(of_era.map(|[_, _, written, reading, weight]| (written, reading, number(weight))), &mut gaiji)
            })
        });
        Names { families, rare_families, givens, rare_givens }
    }
}

impl List {
    fn new(entries: impl Iterator<Item = (&'static str, &'static str, u64)>, gaiji: &mut Gaiji) -> List {
        let (names, weights): (Vec<Name>, Vec<u64>) = entries
            .map(|(written, reading, weight)| {
                let (written_cp932, reading_cp932) = (gaiji.encode(written), gaiji.encode(reading));
                (Name { written, reading, written_cp932, reading_cp932 }, weight)
            })
            .unzip();
        List { names, weights: Weighted::new(&weights) }
    }

    fn pick(&self, draws: &mut Draws) -> &Name {
        &self.names[self.weights.pick(draws)]
    }
}

/// The rows of a list, its comment lines left out.
fn rows<const COLUMNS: usize>(list: &'static str) -> impl Iterator<Item = [&'static str; COLUMNS]> {
    list.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut columns = line.split('\t');
        let row = std::array::from_fn(|_| columns.next().expect("a compiled-in list has all its columns"));
        assert!(columns.next().is_none(), "a compiled-in list has no column too many: {line}");
        row
    })
}

fn number(text: &str) -> u64 {
    text.parse().expect("a compiled-in list has numbers where they belong")
}

#[cfg(test)]
mod tests {
    use super::{NAMES, Name};

    fn common() -> impl Iterator<Item = &'static Name> {
        NAMES.families.names.iter().chain(NAMES.givens.iter().flatten().flat_map(|list| &list.names))
    }

    #[test]
    fn common_names_decode_from_cp932_to_themselves() {
        for name in common() {
            for (text, bytes) in [(name.written, &name.written_cp932), (name.reading, &name.reading_cp932)] {
                let decoded = encoding_rs::SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes);
                assert_eq!(decoded.as_deref(), Some(text));
            }
        }
    }

    #[test]
    fn the_lists_are_as_long_as_their_readme_says() {
        assert_eq!(NAMES.families.names.len(), 600);
        for (lists, least) in NAMES.givens.iter().zip([215, 207]) {
            let mut names: Vec<_> =
                lists.iter().flat_map(|list| &list.names).map(|name| (name.written, name.reading)).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), least);
        }
    }

    #[test]
    fn readings_are_full_width_katakana() {
        let rare = NAMES.rare_families.names.iter().chain(NAMES.rare_givens.iter().flat_map(|list| &list.names));
        for name in common().chain(rare) {
            assert!(name.reading.chars().all(|kana| ('ァ'..='ヶ').contains(&kana) || kana == 'ー'), "{name:?}");
        }
    }

    #[test]
    fn rare_spellings_cover_what_breaks_readers() {
        let text: String = NAMES.rare_families.names.iter().map(|name| name.written).collect();
        for (what, range) in [
            ("outside the BMP", '\u{20000}'..='\u{2FFFF}'),
            ("variation selector", '\u{E0100}'..='\u{E01EF}'),
            ("compatibility", '\u{F900}'..='\u{FAFF}'),
        ] {
            assert!(text.chars().any(|character| range.contains(&character)), "no {what}");
        }
    }
}
