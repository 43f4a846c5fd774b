//! Sketches of texts, by which copies with small changes are recognised.

use super::token::hash;

/// Words of a shingle.
const SHINGLE: usize = 3;
/// Parts of a sketch.
const PARTS: usize = 8;
/// Two texts with this many equal parts are one text: nine of ten pairs that share nine tenths of their shingles, three of
/// a hundred that share a half.
const EQUAL_PARTS: u32 = 7;
/// A shorter text in words is too common to tell postings apart.
const SHORTEST: usize = 60;

/// The smallest hash of the shingles of each of eight classes, eight bits each: of two texts, each part is equal with the
/// share of the shingles that they have in common (one-permutation MinHash). All zeros is a text that is too short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sketch(u64);

impl Sketch {
    /// Whether two long texts are the same but for small changes.
    pub fn is_copy_of(self, other: Self) -> bool {
        const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        let differing = self.0 ^ other.0;
        let differing = (((differing & LOW) + LOW) | differing) & !LOW;
        self.0 != 0 && other.0 != 0 && PARTS as u32 - differing.count_ones() >= EQUAL_PARTS
    }
}

/// Makes a [`Sketch`] of a text's words, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Sketcher {
    words: usize,
    last: [u32; SHINGLE - 1],
    /// The largest hash of each class, so that 0 is none.
    parts: [u32; PARTS],
}

impl Sketcher {
    /// Adds the next word by its hash.
    pub fn push(&mut self, word: u32) {
        self.words += 1;
        let [first, second] = self.last;
        self.last = [second, word];
        let joined = first.rotate_left(14) ^ second.rotate_left(7) ^ word;
        let mixed = joined.wrapping_mul(0x9e37_79b1);
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca77);
        let part = &mut self.parts[(mixed >> 29) as usize];
        *part = (*part).max((mixed << 3) | 1);
    }

    /// The sketch of all words.
    pub fn finish(&self) -> Sketch {
        if self.words < SHORTEST {
            return Sketch::default();
        }
        // The largest hashes all begin with ones; their middle is as good as random.
        let bytes = self.parts.map(|part| (part >> 8) as u8);
        Sketch(u64::from_le_bytes(bytes).max(1))
    }
}

/// The hash of a word for [`Sketcher::push`].
pub fn word_hash(word: &str) -> u32 {
    (hash(&[word]) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(words: &[u32]) -> Sketch {
        let mut sketcher = Sketcher::default();
        words.iter().for_each(|word| sketcher.push(word_hash(&word.to_string())));
        sketcher.finish()
    }

    #[test]
    fn a_changed_word_leaves_most_copies_copies_and_other_texts_are_none() {
        let copies = (0..200).filter(|&at| {
            let text: Vec<u32> = (at * 1_000..at * 1_000 + 120).collect();
            let mut changed = text.clone();
            changed[at as usize % 120] = 7;
            sketch(&text).is_copy_of(sketch(&changed))
        });
        assert!(copies.count() >= 190);
        let halves = (0..200).filter(|&at| {
            let text: Vec<u32> = (at * 1_000..at * 1_000 + 120).collect();
            let half: Vec<u32> = (at * 1_000 + 60..at * 1_000 + 180).collect();
            sketch(&text).is_copy_of(sketch(&half))
        });
        assert!(halves.count() <= 6, "a third of the shingles in common");
    }

    proptest! {
        #[test]
        fn a_text_is_its_own_copy_unless_it_is_short(words in proptest::collection::vec(0_u32..1_000, 0..150)) {
            let one = sketch(&words);
            prop_assert_eq!(one.is_copy_of(sketch(&words)), words.len() >= SHORTEST);
        }
    }
}
