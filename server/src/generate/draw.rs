//! Random draws that can be repeated: every drawn thing is a function of a key and an index.
//!
//! A resident is drawn from its own short stream, keyed by seed, municipality and index, and not from one long stream
//! through the file. So resident 5,000,000 costs what resident 0 does, shots find their residents again without a table,
//! and a municipality's residents stay the same when another is added to the plan.
//!
//! The generator is `SplitMix64` (Steele, Lea, Flood 2014): eight bytes of state, one multiply-xor chain a draw, and written
//! out here because its bytes are a promise (same seed, same files) that a library's next version could break.
//! It is no cipher, and nothing here is secret. Integers only: floating point would tie the bytes to a machine's `libm`.

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finishing permutation of `SplitMix64`: every input bit reaches every output bit.
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// What a key is for, so that no two uses of one seed see the same draws.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Residents = 1,
    TicketNumbers,
    ResidentNumbers,
    MyNumbers,
    Municipalities,
    BadRows,
    ShotOrder,
    Shots,
    Venues,
    Lots,
}

/// The key for one purpose in one municipality; `municipality` 0 stands for the whole country.
pub(super) const fn key(seed: u64, purpose: Purpose, municipality: u32) -> u64 {
    mix(mix(seed.wrapping_add(GOLDEN_GAMMA)) ^ mix(((purpose as u64) << 32) | municipality as u64))
}

/// `draw` scaled to `0..bound`, by the high half of a product: no division, and a bias below bound / 2^64.
pub(super) const fn scale(draw: u64, bound: u64) -> u64 {
    ((draw as u128 * bound as u128) >> 64) as u64
}

/// A stream of draws.
#[derive(Clone)]
pub(super) struct Draws {
    state: u64,
}

impl Draws {
    /// The stream of thing number `index` under `key`.
    pub(super) const fn keyed(key: u64, index: u64) -> Draws {
        Draws { state: key ^ mix(index.wrapping_add(GOLDEN_GAMMA)) }
    }

    pub(super) const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number in `0..bound`.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        scale(self.draw(), bound)
    }

    /// A place in something of `length`.
    pub(super) fn place_in(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// One of `things`, each as likely.
    pub(super) fn choose<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.place_in(things.len())]
    }

    /// True `count` times in a million.
    pub(super) const fn per_million(&mut self, count: u64) -> bool {
        self.below(1_000_000) < count
    }
}

/// A choice among weighted things in constant time: Walker's alias method, in whole numbers.
pub(super) struct Weighted {
    /// For each column, the 32-bit threshold below which it keeps a draw, and who gets it otherwise.
    columns: Vec<(u32, u32)>,
}

impl Weighted {
    /// # Panics
    /// If the weights add up to zero: the tables are compiled in, so that is our mistake.
    pub(super) fn new(weights: &[u64]) -> Weighted {
        let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        assert!(total > 0, "a weighted choice needs a weight above zero");
        let count = weights.len() as u128;

        // Each column is `total` high; a thing of average weight fills exactly one.
        let mut height: Vec<u128> = weights.iter().map(|&weight| u128::from(weight) * count).collect();
        let (mut short, mut tall): (Vec<usize>, Vec<usize>) = (0..weights.len()).partition(|&at| height[at] < total);
        let mut columns: Vec<(u32, u32)> = (0..).take(weights.len()).map(|at| (u32::MAX, at)).collect();
        while let (Some(low), Some(&high)) = (short.pop(), tall.last()) {
            let threshold = (height[low] << 32) / total;
            columns[low] = (
                u32::try_from(threshold).expect("a short column is below the total"),
                u32::try_from(high).expect("tables have fewer than 2^32 rows"),
            );
            height[high] -= total - height[low];
            if height[high] < total {
                tall.pop();
                short.push(high);
            }
        }
        Weighted { columns }
    }

    /// The chosen index. One draw serves for both the column (high half) and the threshold (low half).
    #[allow(clippy::cast_possible_truncation, reason = "the halves of a draw are taken on purpose")]
    pub(super) fn pick(&self, draws: &mut Draws) -> usize {
        let draw = draws.draw();
        let column = ((draw >> 32) * self.columns.len() as u64) >> 32;
        let (threshold, other) = self.columns[column as usize];
        if (draw as u32) < threshold { column as usize } else { other as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::{Draws, Weighted};

    #[test]
    fn a_weighted_choice_follows_its_weights() {
        let weights = [700, 0, 200, 100];
        let choice = Weighted::new(&weights);
        let mut draws = Draws::keyed(7, 0);
        let mut seen = [0_u64; 4];
        for _ in 0..1_000_000 {
            seen[choice.pick(&mut draws)] += 1;
        }
        for (count, weight) in seen.iter().zip(weights) {
            assert!(count.abs_diff(weight * 1000) < 2_000, "{seen:?} for {weights:?}");
        }
    }

    #[test]
    fn neighbouring_indexes_draw_independently() {
        let ones: u32 = (0..1000)
            .map(|index| (Draws::keyed(1, index).draw() ^ Draws::keyed(1, index + 1).draw()).count_ones())
            .sum();
        assert!(ones.abs_diff(32_000) < 600, "{ones} differing bits in 1000 pairs");
    }
}
