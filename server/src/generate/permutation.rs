//! Shuffling a range of numbers without holding it: a bijection on `0..left × right`.
//!
//! Ticket numbers and My Numbers have to look scattered and never repeat, for up to 100 million residents, in no memory. A
//! keyed bijection of a counter gives both: two inputs never meet, and nothing has to be remembered.
//!
//! It is a Feistel network over mixed radix. A number is a pair (a, b) with a < left and b < right, and each round adds a
//! function of one half to the other, modulo that half's size; adding can be undone, so each round is a bijection. Powers
//! of ten split evenly this way (10^10 = 10^5 × 10^5), where a network over bits would have to walk past values outside.
//!
//! For a length that does not split, [`Permutation::of_length`] takes the next square above and walks: outputs outside the
//! length are put in again, until one falls inside. The square is less than 1 + 3/√length times too large, so walks are short.

use super::draw::{mix, scale};

/// Four rounds are where a Feistel network of random functions becomes a random-looking permutation (Luby, Rackoff 1988).
const ROUNDS: usize = 4;

#[derive(Clone)]
pub(super) struct Permutation {
    left: u64,
    right: u64,
    length: u64,
    round_keys: [u64; ROUNDS],
}

impl Permutation {
    /// On `0..left × right`.
    pub(super) fn of_product(key: u64, left: u64, right: u64) -> Permutation {
        let round_keys = [1, 2, 3, 4].map(|round: u64| mix(key ^ round.wrapping_mul(0xD6E8_FEB8_6659_FD93)));
        Permutation { left, right, length: left * right, round_keys }
    }

    /// On `0..length`, any length.
    pub(super) fn of_length(key: u64, length: u64) -> Permutation {
        let root = length.isqrt();
        let side = if root * root == length { root } else { root + 1 };
        Permutation { length, ..Permutation::of_product(key, side, side) }
    }

    /// Where `value` goes.
    pub(super) fn apply(&self, value: u64) -> u64 {
        assert!(value < self.length, "a permutation's input is in its range");
        let mut image = self.shuffle(value);
        while image >= self.length {
            image = self.shuffle(image);
        }
        image
    }

    /// Like [`apply`](Self::apply) on `1..length`: zero, which is no number at all on a ticket, is walked past.
    pub(super) fn apply_above_zero(&self, value: u64) -> u64 {
        assert!(value > 0, "zero is not a number that is given out");
        match self.apply(value) {
            0 => self.apply(0),
            image => image,
        }
    }

    fn shuffle(&self, value: u64) -> u64 {
        let (mut a, mut b) = (value / self.right, value % self.right);
        for pair in self.round_keys.chunks_exact(2) {
            a = wrapped_sum(a, scale(mix(b ^ pair[0]), self.left), self.left);
            b = wrapped_sum(b, scale(mix(a ^ pair[1]), self.right), self.right);
        }
        a * self.right + b
    }
}

/// `(a + b) mod modulus` for both below the modulus.
const fn wrapped_sum(a: u64, b: u64, modulus: u64) -> u64 {
    let sum = a + b;
    if sum >= modulus { sum - modulus } else { sum }
}

#[cfg(test)]
mod tests {
    use super::Permutation;

    #[test]
    fn every_value_of_a_range_is_hit_once_whatever_its_length() {
        for length in [1, 2, 3, 10, 99, 100, 1741, 65_537] {
            let permutation = Permutation::of_length(42, length);
            let mut images: Vec<u64> = (0..length).map(|value| permutation.apply(value)).collect();
            images.sort_unstable();
            assert!(images.into_iter().eq(0..length), "not a bijection on {length}");
        }
    }

    #[test]
    fn unequal_halves_still_make_a_bijection_and_zero_is_walked_past() {
        let permutation = Permutation::of_product(3, 10, 1000);
        let mut images: Vec<u64> = (1..10_000).map(|value| permutation.apply_above_zero(value)).collect();
        images.sort_unstable();
        assert!(images.into_iter().eq(1..10_000));
    }

    #[test]
    fn neighbours_land_far_apart() {
        let permutation = Permutation::of_product(9, 99_000, 100_000);
        let close = (1..10_000)
            .filter(|&value| permutation.apply(value).abs_diff(permutation.apply(value + 1)) < 10_000_000)
            .count();
        assert!(close < 100, "{close} of 10,000 neighbours stayed close");
    }
}
