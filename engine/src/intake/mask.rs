//! Texts that people write down beside what they do: why they ask, why they change something.
//!
//! Owns what such a text must not hold, and puts stars in its place.

/// The text with stars for the digits of whatever may be a My Number: people write down what they look for.
pub(crate) fn masked(text: &str) -> String {
    const DIGITS: usize = 12;
    let is_digit = |c: char| c.is_ascii_digit() || ('０'..='９').contains(&c);
    let joins = |c: char| is_digit(c) || matches!(c, ' ' | '\u{3000}' | '-' | '－' | '‐' | 'ー' | '−');
    let characters: Vec<char> = text.chars().collect();
    let runs = characters.chunk_by(|&a, &b| joins(a) == joins(b));
    runs.flat_map(|run| {
        let long = run.iter().filter(|&&c| is_digit(c)).count() >= DIGITS;
        run.iter().map(move |&c| if long && is_digit(c) { '*' } else { c })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_my_number_is_stars_and_all_else_stays() {
        for (text, told) in [
            ("123456789018 の改名", "************ の改名"),
            ("１２３４－５６７８－９０１８", "****－****－****"),
            ("1234 5678 9018", "**** **** ****"),
            ("2021-06-19 の誤り", "2021-06-19 の誤り"),
            ("券 0000012345", "券 0000012345"),
            ("", ""),
        ] {
            assert_eq!(masked(text), told);
        }
    }
}
