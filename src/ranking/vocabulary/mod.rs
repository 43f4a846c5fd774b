//! The table of careers and their other names, edited by operators without recompiling.
//!
//! A career that the table does not know gets no expansion, never a guess; a name that stands under two
//! careers expands to neither, unless it is a career's own.

mod file;
mod lint;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use self::file::File;
use crate::ranking::text::compact;
use crate::ranking::text::hangul::is_hangul;
use crate::ranking::text::phrase::subject_words;

/// Why a vocabulary file cannot be used at all. What is merely doubtful is a finding of [`Vocabulary::lint`].
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    #[error("the vocabulary is not the TOML that is expected: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("the vocabulary lists no careers")]
    Empty,
}

/// Careers, their sectors and their synonyms.
#[derive(Debug)]
pub struct Vocabulary {
    file: File,
    careers: Vec<CareerEntry>,
    /// Compact spelling → the careers that have it, own names first.
    by_phrase: FxHashMap<String, Vec<Mention>>,
    /// The last two characters of all spellings: most words of a title need no further look.
    endings: FxHashSet<[char; 2]>,
    /// Word → the sector that it belongs to.
    sector_words: FxHashMap<String, String>,
}

/// A career of the table.
#[derive(Debug)]
pub(in crate::ranking) struct CareerEntry {
    pub sector: String,
    /// Its own name first, then its other names.
    pub phrases: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Mention {
    career: usize,
    own_name: bool,
}

impl Vocabulary {
    /// Reads a vocabulary file.
    pub fn parse(toml: &str) -> Result<Self, VocabularyError> {
        let file: File = toml::from_str(toml)?;
        let mut careers = Vec::new();
        let mut by_phrase: FxHashMap<String, Vec<Mention>> = FxHashMap::default();
        for entry in file.careers() {
            for (index, phrase) in entry.phrases().enumerate() {
                let mention = Mention { career: careers.len(), own_name: index == 0 };
                by_phrase.entry(compact(phrase)).or_default().push(mention);
            }
            let phrases = entry.phrases().map(str::to_owned).collect();
            careers.push(CareerEntry { sector: entry.sector.to_owned(), phrases });
        }
        if careers.is_empty() {
            return Err(VocabularyError::Empty);
        }
        let endings = by_phrase.keys().filter_map(|phrase| last_two(phrase)).collect();
        let sector_words = sector_words(&file);
        Ok(Self { file, careers, by_phrase, endings, sector_words })
    }

    /// The table that is built in.
    ///
    /// # Panics
    /// Never in a build that passed its tests: the file is part of the binary.
    pub fn builtin() -> Self {
        Self::parse(include_str!("../../../vocabulary/careers.toml"))
            .expect("the built-in vocabulary is tested")
    }

    /// The file's own revision, raised by whoever edits it.
    pub fn revision(&self) -> u32 {
        self.file.revision
    }

    /// What an editor should look at, one sentence each; empty means clean.
    pub fn lint(&self) -> Vec<String> {
        crate::ranking::vocabulary::lint::findings(&self.file)
    }

    /// The sectors of the careers that a title names; `words` are its words in order.
    pub(in crate::ranking) fn sectors_of<'v>(&'v self, words: &[&str]) -> Vec<&'v str> {
        let may_end = |word: &&str| last_two(word).is_none_or(|ending| self.endings.contains(&ending));
        if !words.iter().any(may_end) {
            return Vec::new();
        }
        let title = words.concat();
        let mut starts = vec![0];
        starts.extend(words.iter().scan(0, |end, word| {
            *end += word.len();
            Some(*end)
        }));
        let mut sectors = Vec::new();
        for (last, &end) in starts.iter().enumerate().skip(1) {
            if last_two(&title[..end]).is_none_or(|ending| !self.endings.contains(&ending)) {
                continue;
            }
            let several =
                starts[last.saturating_sub(LONGEST_NAME)..last].iter().map(|&start| &title[start..end]);
            // A name may end a compound: `온라인MD` has words of its own, `사내변호사` has not.
            let inside = words[last - 1].char_indices().skip(1).map(|(at, _)| &words[last - 1][at..]);
            let inside = inside.filter(|name| name.starts_with(is_hangul));
            let Some(mentions) = several.chain(inside).find_map(|name| self.by_phrase.get(name)) else {
                continue;
            };
            for mention in mentions {
                let sector = self.careers[mention.career].sector.as_str();
                if !sectors.contains(&sector) {
                    sectors.push(sector);
                }
            }
        }
        sectors
    }

    /// The sector that a title's word belongs to, whatever job the title names.
    pub(in crate::ranking) fn sector_of_word(&self, word: &str) -> Option<&str> {
        self.sector_words.get(word).map(String::as_str)
    }

    /// The entry that a career's name (or one of its other names) stands for.
    pub(in crate::ranking) fn find(&self, name: &str) -> Option<&CareerEntry> {
        let mentions = self.by_phrase.get(&compact(name))?;
        let own: Vec<_> = mentions.iter().filter(|mention| mention.own_name).collect();
        let first = mentions.first()?;
        let career = match own.as_slice() {
            [only] => only.career,
            [] if mentions.iter().all(|mention| mention.career == first.career) => first.career,
            _ => return None,
        };
        self.careers.get(career)
    }
}

/// The words that belong to one sector: several of its careers have them in their names, and few others.
/// Job nouns do not count, they say who does the work and not in which sector.
fn sector_words(file: &File) -> FxHashMap<String, String> {
    let nouns: FxHashSet<String> = file.job_nouns.iter().map(|noun| compact(noun)).collect();
    let mut careers_by_word: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for entry in file.careers() {
        let words: BTreeSet<String> = entry.phrases().flat_map(subject_words).collect();
        for word in words.into_iter().filter(|word| !nouns.contains(word)) {
            *careers_by_word.entry(word).or_default().entry(entry.sector).or_default() += 1;
        }
    }
    let only_sector = |(word, sectors): (String, BTreeMap<&str, usize>)| {
        let all: usize = sectors.values().sum();
        let (sector, _) = sectors.into_iter().find(|&(_, careers)| careers >= 2 && 5 * careers >= 3 * all)?;
        Some((word, sector.to_owned()))
    };
    careers_by_word.into_iter().filter_map(only_sector).collect()
}

/// Words that a career's name has at most, as far as titles are searched for it.
const LONGEST_NAME: usize = 4;

fn last_two(text: &str) -> Option<[char; 2]> {
    let mut characters = text.chars().rev();
    let last = characters.next()?;
    Some([characters.next()?, last])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURE: &str = r#"
        revision = 7
        job_nouns = ["개발자", "developer"]
        known_titles = ["CTO"]
        [fields."IT"]
        "백엔드 개발자" = ["서버 개발자", "Backend Developer", "웹 개발자"]
        "프론트엔드 개발자" = ["Frontend Developer", "웹 개발자"]
    "#;

    fn name<'a>(vocabulary: &'a Vocabulary, phrase: &str) -> Option<&'a str> {
        vocabulary.find(phrase).map(|entry| entry.phrases[0].as_str())
    }

    #[test]
    fn any_name_of_a_career_finds_it_whatever_its_spelling() {
        let vocabulary = Vocabulary::parse(FIXTURE).unwrap();
        assert_eq!(vocabulary.revision(), 7);
        for phrase in
            ["백엔드 개발자", "백엔드개발자", "서버개발자", "BACKEND developer", "ｂａｃｋｅｎｄ Developer"]
        {
            assert_eq!(name(&vocabulary, phrase), Some("백엔드 개발자"), "{phrase}");
        }
    }

    #[test]
    fn the_built_in_table_is_large_and_clean() {
        let vocabulary = Vocabulary::builtin();
        assert_eq!(vocabulary.lint(), Vec::<String>::new());
        assert!(vocabulary.careers.len() >= 300, "{}", vocabulary.careers.len());
        let phrases: usize = vocabulary.careers.iter().map(|career| career.phrases.len()).sum();
        assert!(phrases >= 1_000, "{phrases}");
    }

    #[test]
    fn what_is_unknown_or_ambiguous_expands_to_nothing() {
        let vocabulary = Vocabulary::parse(FIXTURE).unwrap();
        assert_eq!(name(&vocabulary, "웹 개발자"), None);
        assert_eq!(name(&vocabulary, "개발자"), None);
        assert_eq!(name(&vocabulary, ""), None);
    }

    #[test]
    fn a_word_of_several_careers_of_one_sector_belongs_to_it() {
        let fields = r#"
            [fields."음식"]
            "음식점 매니저" = ["F&B 매니저"]
            "F&B 기획자" = ["메뉴 기획자"]
            "메뉴 개발자" = []
            [fields."디자인"]
            "메뉴 디자이너" = []
            "메뉴판 디자이너" = ["메뉴 그래픽 디자이너"]
            "그래픽 디자이너" = []
        "#;
        let head = "revision = 1\nknown_titles = []\njob_nouns = [\"매니저\", \"기획자\", \"디자이너\"]";
        let vocabulary = Vocabulary::parse(&format!("{head}{fields}")).unwrap();
        assert_eq!(vocabulary.sector_of_word("f&b"), Some("음식"));
        assert_eq!(vocabulary.sector_of_word("그래픽"), Some("디자인"));
        for word in ["음식점", "메뉴", "디자이너", "매니저"] {
            assert_eq!(vocabulary.sector_of_word(word), None, "{word}");
        }
    }

    #[test]
    fn unreadable_files_are_refused() {
        assert!(matches!(Vocabulary::parse("revision = "), Err(VocabularyError::Syntax(_))));
        let empty = "revision = 1\njob_nouns = []\nknown_titles = []\n[fields]";
        assert!(matches!(Vocabulary::parse(empty), Err(VocabularyError::Empty)));
    }
}
