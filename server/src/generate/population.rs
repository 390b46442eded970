//! How large municipalities are: a rank-size law over the real codes.
//!
//! No list of every municipality's population could be taken over with a clear licence, so sizes come from a law and not
//! from a census. Populations are lognormal, with a median of 25,500 and σ = 1.45, fitted to three figures of the 2020
//! census: 126,146,099 people in all, 3,777,491 in the largest municipality (Yokohama) and 169 in the smallest (Aogashima).
//! The law gives 3,755,098 and 173, which is as near as the use here needs: splits, hot municipalities, tiny files.
//!
//! Who has which rank follows from what a code and a name tell: Tokyo's wards, prefectural seats, cities, towns, villages,
//! with a fixed scatter inside each kind, and the designated cities in their true order. So Yokohama is first and a village
//! never large, but a town's size is its kind's and not its own. Only the choice of a few out of many depends on the seed.

use sesshu_engine::ticket::Municipality;

use super::draw::{Draws, Purpose, key};

/// The law at chosen ranks of 1,741: (rank, people). Between them sizes are interpolated in whole numbers.
const PEOPLE_AT_RANK: [(u64, u64); 31] = [
    (1, 3_755_098),
    (2, 2_398_445),
    (3, 1_921_058),
    (5, 1_469_458),
    (8, 1_149_564),
    (12, 926_363),
    (20, 698_709),
    (30, 552_370),
    (50, 403_252),
    (80, 294_869),
    (120, 219_873),
    (180, 159_381),
    (260, 115_258),
    (360, 83_559),
    (480, 60_551),
    (620, 43_578),
    (780, 30_851),
    (950, 21_616),
    (1100, 15_669),
    (1250, 11_063),
    (1380, 7_827),
    (1480, 5_682),
    (1560, 4_118),
    (1620, 2_995),
    (1660, 2_243),
    (1690, 1_654),
    (1710, 1_223),
    (1725, 850),
    (1734, 566),
    (1739, 338),
    (1741, 173),
];

/// The designated cities, the largest first (2020 census): Yokohama, Osaka, Nagoya, Sapporo, Fukuoka, Kawasaki, Kobe, Kyoto,
/// Saitama, Hiroshima, Sendai, Chiba, Kitakyushu, Sakai, Hamamatsu, Niigata, Kumamoto, Sagamihara, Okayama, Shizuoka.
const DESIGNATED_CITIES: [u32; 20] = [
    141_003, 271_004, 231_002, 11_002, 401_307, 141_305, 281_000, 261_009, 111_007, 341_002, 41_009, 121_002, 401_005,
    271_403, 221_309, 151_009, 431_001, 141_500, 331_007, 221_007,
];

/// The ranks from which a single municipality is taken: cities of about 75,000 to 220,000 people.
const MIDDLE_RANKS: std::ops::Range<u64> = 120..400;

/// `count` municipalities, large and small, each with its people by the law; in code order.
///
/// Ranks are cut into `count` equal runs and one is drawn from each, so every choice has the country's shape. One
/// municipality alone is a middling city: what somebody who asks for one means.
pub(super) fn spread(count: usize, seed: u64) -> Vec<(Municipality, u64)> {
    let ranked = by_rank();
    let ranks = ranked.len() as u64;
    let mut draws = Draws::keyed(key(seed, Purpose::Municipalities, 0), 0);
    let runs = count as u64;
    let mut chosen: Vec<(Municipality, u64)> = (0..runs)
        .map(|run| {
            let (start, end) = match runs {
                1 => (MIDDLE_RANKS.start.min(ranks - 1), MIDDLE_RANKS.end.min(ranks)),
                _ => (run * ranks / runs, (run + 1) * ranks / runs),
            };
            let place = start + draws.below(end - start);
            (ranked[usize::try_from(place).expect("a rank is below 1,741")], people_at(place + 1))
        })
        .collect();
    chosen.sort_unstable_by_key(|(municipality, _)| municipality.code());
    chosen
}

/// All municipalities, the largest first.
fn by_rank() -> Vec<Municipality> {
    let mut ranked: Vec<(u64, Municipality)> =
        Municipality::all().map(|municipality| (log_size(municipality), municipality)).collect();
    ranked.sort_unstable_by_key(|&(size, municipality)| (std::cmp::Reverse(size), municipality.code()));
    ranked.into_iter().map(|(_, municipality)| municipality).collect()
}

fn people_at(rank: u64) -> u64 {
    let above = PEOPLE_AT_RANK.partition_point(|&(known, _)| known <= rank).clamp(1, PEOPLE_AT_RANK.len() - 1);
    let ((rank_before, people_before), (rank_after, people_after)) = (PEOPLE_AT_RANK[above - 1], PEOPLE_AT_RANK[above]);
    let drop = (people_before - people_after) * (rank.min(rank_after) - rank_before) / (rank_after - rank_before);
    people_before - drop
}

/// A guess of 1000 × ln(people) from the kind of municipality, scattered by its code. Only its order is used.
fn log_size(municipality: Municipality) -> u64 {
    let code = municipality.code();
    if let Some(place) = DESIGNATED_CITIES.iter().position(|&city| city == code) {
        return 14_800 - 80 * place as u64;
    }
    let (prefecture, place) = (code / 10_000, code / 10 % 1000);
    let (middle, scatter) = match (prefecture, place) {
        (13, 101..=123) => (12_700, 1200),
        (_, 201) => (12_500, 1000),
        _ if municipality.name().ends_with('市') => (11_100, 1800),
        _ if municipality.name().ends_with('町') => (9_300, 1800),
        _ => (8_100, 1900),
    };
    // The sum of four uniform draws is near enough to a bell.
    let mut draws = Draws::keyed(0, u64::from(code));
    let bell = (0..4).map(|_| draws.below(scatter)).sum::<u64>();
    middle + bell - 2 * scatter
}

#[cfg(test)]
mod tests {
    use sesshu_engine::ticket::Municipality;

    use super::{DESIGNATED_CITIES, by_rank, people_at, spread};

    #[test]
    fn the_law_adds_up_to_the_country() {
        let total: u64 = (1..=1741).map(people_at).sum();
        assert!(total.abs_diff(126_146_099) < 2_000_000, "{total}");
        assert_eq!((people_at(1), people_at(1741)), (3_755_098, 173));
        assert!((1..1741).all(|rank| people_at(rank) >= people_at(rank + 1)));
    }

    #[test]
    fn yokohama_is_first_and_a_village_last() {
        let ranked = by_rank();
        assert_eq!(ranked.first().map(|municipality| municipality.name()), Some("横浜市"));
        assert!(ranked[1740].name().ends_with('村'), "{:?}", ranked[1740]);
        let cities = DESIGNATED_CITIES.iter().filter_map(|&code| Municipality::from_code(code).ok());
        assert_eq!(cities.filter(|city| ranked[..60].contains(city)).count(), 20);
    }

    #[test]
    fn any_number_of_municipalities_spreads_over_large_and_small() {
        for count in [2, 5, 20, 300, 1741] {
            let chosen = spread(count, 11);
            assert_eq!(chosen.len(), count);
            assert!(chosen.windows(2).all(|pair| pair[0].0.code() < pair[1].0.code()), "each once, in code order");
            assert!(
                chosen.iter().any(|&(_, people)| people > 25_000) && chosen.iter().any(|&(_, people)| people < 25_000)
            );
        }
        assert!((0..50).all(|seed| (70_000..250_000).contains(&spread(1, seed)[0].1)));
    }
}
