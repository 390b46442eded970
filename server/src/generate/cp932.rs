//! Text in CP932, the way municipal systems write it.
//!
//! `encoding_rs` encodes what CP932 has, with IBM's extensions at FA40–FC4B as Windows does (髙 is FBFC). What CP932 lacks,
//! characters outside the BMP and glyph variants with a selector, such systems hold as private-use characters (外字), each
//! system with a numbering of its own. The encoder knows none of those, so they are laid out here:
//!
//! ```text
//! number n = 0..1879     U+E000 + n     lead 0xF0 + n / 188     trail t = n mod 188, 0x40 + t, one more from 0x7F on
//! ```
//!
//! `encoding_rs` decodes that range back to U+E000 + n. Numbers are given in the order in which a [`Gaiji`] first meets a
//! character, so the same tables give the same bytes.

use encoding_rs::SHIFT_JIS;

/// Private-use characters that CP932 has room for: ten leads of 188 trails.
const GAIJI_MAX: usize = 10 * 188;

/// 〓, the geta mark: what Japanese typesetting puts where a glyph is missing.
const GETA: [u8; 2] = [0x81, 0xAC];

/// A numbering of the characters that CP932 lacks.
#[derive(Default)]
pub(super) struct Gaiji {
    /// Characters, each with its variation selector if it has one; the place is the number.
    numbered: Vec<String>,
}

impl Gaiji {
    /// `text` in CP932, with a private-use number for each character that is not in it.
    pub(super) fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        for glyph in glyphs(text) {
            match encoded(glyph) {
                Some(known) => bytes.extend_from_slice(&known),
                None => bytes.extend_from_slice(&self.number(glyph)),
            }
        }
        bytes
    }

    fn number(&mut self, glyph: &str) -> [u8; 2] {
        let number = self.numbered.iter().position(|known| known == glyph).unwrap_or_else(|| {
            self.numbered.push(glyph.to_owned());
            self.numbered.len() - 1
        });
        private_use_bytes(number).unwrap_or(GETA)
    }
}

/// `text` in CP932 for texts that are known to fit it, such as place names; a character that does not becomes 〓.
pub(super) fn encode_common(text: &str, bytes: &mut Vec<u8>) {
    let (encoded_text, _, unmappable) = SHIFT_JIS.encode(text);
    if !unmappable {
        bytes.extend_from_slice(&encoded_text);
        return;
    }
    for glyph in glyphs(text) {
        bytes.extend_from_slice(&encoded(glyph).unwrap_or_else(|| GETA.to_vec()));
    }
}

fn encoded(glyph: &str) -> Option<Vec<u8>> {
    let (bytes, _, unmappable) = SHIFT_JIS.encode(glyph);
    (!unmappable).then(|| bytes.into_owned())
}

#[allow(clippy::cast_possible_truncation, reason = "leads and trails are below 256 by construction")]
fn private_use_bytes(number: usize) -> Option<[u8; 2]> {
    if number >= GAIJI_MAX {
        return None;
    }
    let trail = 0x40 + number % 188;
    // 0x7F is no trail byte.
    Some([(0xF0 + number / 188) as u8, (trail + usize::from(trail >= 0x7F)) as u8])
}

/// The characters of `text`, each together with the variation selector that follows it.
fn glyphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let selector =
            rest[first.len_utf8()..].chars().next().filter(|next| ('\u{E0100}'..='\u{E01EF}').contains(next));
        let (glyph, after) = rest.split_at(first.len_utf8() + selector.map_or(0, char::len_utf8));
        rest = after;
        Some(glyph)
    })
}

#[cfg(test)]
mod tests {
    use encoding_rs::SHIFT_JIS;

    use super::{GAIJI_MAX, Gaiji, encode_common, private_use_bytes};

    #[test]
    fn every_private_use_number_decodes_to_its_character() {
        for number in 0..GAIJI_MAX {
            let bytes = private_use_bytes(number).expect("in range");
            let text = SHIFT_JIS.decode_without_bom_handling_and_without_replacement(&bytes).expect("no errors");
            assert_eq!(
                text.chars().map(u32::from).collect::<Vec<_>>(),
                [0xE000 + u32::try_from(number).expect("small")]
            );
        }
        assert_eq!(private_use_bytes(GAIJI_MAX), None);
    }

    #[test]
    fn a_character_with_a_selector_is_one_private_use_character() {
        let mut gaiji = Gaiji::default();
        assert_eq!(gaiji.encode("𠮷田"), [0xF0, 0x40, 0x93, 0x63]);
        assert_eq!(gaiji.encode("渡邉\u{E0100}"), [0x93, 0x6E, 0xF0, 0x41]);
        assert_eq!(gaiji.encode("渡邉"), [0x93, 0x6E, 0xE7, 0xB3], "without a selector it is in CP932");
        assert_eq!(gaiji.encode("𠮷"), [0xF0, 0x40], "the number is kept");
        assert_eq!(gaiji.encode("髙"), [0xFB, 0xFC], "IBM's extension, as Windows encodes it");
    }

    #[test]
    fn a_missing_character_of_a_common_text_is_a_geta_mark() {
        let mut bytes = Vec::new();
        encode_common("𠮷市", &mut bytes);
        assert_eq!(bytes, [0x81, 0xAC, 0x8E, 0x73]);
    }
}
