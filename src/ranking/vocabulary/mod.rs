//! The table of careers and their other names, which operators edit without recompiling.
//!
//! A name that two careers list stands for neither, unless it is the own name of one of them. A name that no career
//! lists is resolved to the career with the same subject, to the longest known name at its end, or to the name that
//! shares most words with it; if there is none, it is searched for as it is.

mod common_words;
mod file;
mod homonym;
mod lint;
mod related;
mod resolve;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arcstr::{ArcStr, Substr};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use self::file::{File, FileEntry};
use self::homonym::Homonym;
pub(in crate::ranking) use self::resolve::Nearness;
use self::words::WordIndex;
use crate::ranking::text::compact;
use crate::ranking::text::hangul::{is_hangul, names_a_company};
use crate::ranking::text::phrase::subject_words;

/// Why a vocabulary file cannot be used. Doubtful entries are no errors but findings of [`Vocabulary::lint`].
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// Not TOML, a key is missing or unknown, or a value has the wrong type.
    #[error("the vocabulary is not TOML in the expected form: {0}")]
    Syntax(#[from] toml::de::Error),
    /// No sector lists a career.
    #[error("the vocabulary lists no careers")]
    Empty,
}

/// Careers, their sectors and their synonyms.
#[derive(Debug)]
pub struct Vocabulary {
    revision: u32,
    careers: Vec<CareerEntry>,
    /// Name in the form of [`compact`] → the careers that have it.
    by_phrase: FxHashMap<Substr, SmallVec<[Mention; 1]>>,
    /// The careers whose names have a subject, by the key of the subject; made when it is needed first.
    by_subject: OnceLock<FxHashMap<String, Vec<usize>>>,
    /// The words of all names; made when a name is resolved by them first.
    words: OnceLock<WordIndex>,
    /// The last two characters of all names. Most words of a title end otherwise, which rules them out quickly.
    endings: FxHashSet<[char; 2]>,
    /// Word → its sector.
    sector_words: FxHashMap<String, String>,
    /// In the order of the file.
    homonyms: Vec<Homonym>,
}

/// A career of the table.
#[derive(Debug)]
pub(in crate::ranking) struct CareerEntry {
    /// The sector that lists it.
    pub sector: Arc<str>,
    /// Its own name first, then its other names.
    pub phrases: Vec<Substr>,
    /// Those of its names that have other meanings as well.
    pub broad: Vec<String>,
    /// Names of other careers whose postings suit it too.
    pub near: Vec<String>,
    /// The first names of the careers of its families.
    pub kin: Vec<Substr>,
}

/// A career that has a name.
#[derive(Clone, Copy, Debug)]
struct Mention {
    /// Position in `careers`.
    career: u32,
    /// Whether it is the career's own name.
    own_name: bool,
}

/// The built-in table.
const BUILTIN: &str = include_str!("../../../vocabulary/careers.toml");

impl Vocabulary {
    /// Reads a vocabulary file; the head of `vocabulary/careers.toml` tells its rules.
    ///
    /// # Errors
    /// When the text is not such a file, or lists no careers. Run [`lint`](Self::lint) for doubtful entries.
    ///
    /// ```
    /// use job_agent::ranking::Vocabulary;
    ///
    /// let file = r#"
    ///     revision = 3
    ///     job_nouns = ["개발자", "Developer"]
    ///     known_titles = []
    ///
    ///     [fields."IT·개발"]
    ///     "백엔드 개발자" = ["서버 개발자", "Backend Developer", "풀필먼트"]
    /// "#;
    /// assert_eq!(Vocabulary::parse(file)?.revision(), 3);
    /// assert_eq!(
    ///     Vocabulary::lint(file)?,
    ///     ["백엔드 개발자: '풀필먼트' is a domain word: it has no job noun and is no known title"]
    /// );
    /// # Ok::<(), job_agent::ranking::VocabularyError>(())
    /// ```
    pub fn parse(toml: &str) -> Result<Self, VocabularyError> {
        let file: File = toml::from_str(toml)?;
        let mut careers = Vec::new();
        let sectors: FxHashMap<&str, Arc<str>> =
            file.sectors.keys().map(|sector| (sector.as_str(), sector.as_str().into())).collect();
        let phrases = || file.careers().flat_map(FileEntry::phrases);
        let (mut spelled, mut keys) = (joined(phrases()), joined(phrases().map(compact)));
        let mut by_phrase: FxHashMap<Substr, SmallVec<[Mention; 1]>> = FxHashMap::default();
        for (career, entry) in (0..).zip(file.careers()) {
            let names = 1 + entry.others.len();
            for (index, key) in keys.by_ref().take(names).enumerate() {
                by_phrase.entry(key).or_default().push(Mention { career, own_name: index == 0 });
            }
            let links = |of: &BTreeMap<String, Vec<String>>| of.get(entry.name).cloned().unwrap_or_default();
            careers.push(CareerEntry {
                sector: sectors[entry.sector].clone(),
                phrases: spelled.by_ref().take(names).collect(),
                broad: links(&file.broad),
                near: links(&file.near),
                kin: Vec::new(),
            });
        }
        if careers.is_empty() {
            return Err(VocabularyError::Empty);
        }
        join_families(&mut careers, &file.families);
        let endings = by_phrase.keys().filter_map(|phrase| last_two(phrase)).collect();
        let sector_words = sector_words(&file);
        let homonyms = file.homonyms.iter().map(Homonym::new).collect();
        Ok(Self {
            revision: file.revision,
            careers,
            by_phrase,
            by_subject: OnceLock::new(),
            words: OnceLock::new(),
            endings,
            sector_words,
            homonyms,
        })
    }

    /// The built-in table.
    ///
    /// # Panics
    /// Never in a build that passed its tests: the file is part of the binary.
    pub fn builtin() -> Self {
        Self::parse(BUILTIN).expect("the built-in vocabulary is tested")
    }

    /// The file's own revision, which its editors raise with every change.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The names of all careers.
    #[cfg(test)]
    pub(in crate::ranking) fn names(&self) -> impl Iterator<Item = &str> {
        self.careers.iter().flat_map(|career| career.phrases.iter().map(Substr::as_str))
    }

    /// The doubtful entries of a vocabulary file, one sentence each, for its editors; empty if there are none.
    ///
    /// # Errors
    /// When the text is not such a file.
    pub fn lint(toml: &str) -> Result<Vec<String>, VocabularyError> {
        Ok(lint::findings(&toml::from_str(toml)?))
    }

    /// The sectors of the careers that a title names. `words` are the title's words, in order.
    pub(in crate::ranking) fn sectors_of<'v>(&'v self, words: &[&str]) -> Vec<&'v str> {
        // A word of one character may still be the end of a name with the words before it.
        if words.iter().all(|word| self.ends_like_a_name(word) == Some(false)) {
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
            if self.ends_like_a_name(&title[..end]) != Some(true) {
                continue;
            }
            let several =
                starts[last.saturating_sub(LONGEST_NAME)..last].iter().map(|&start| &title[start..end]);
            // A name may be the end of a compound. `온라인MD` is two words already, `사내변호사` is one.
            let inside = words[last - 1].char_indices().skip(1).map(|(at, _)| &words[last - 1][at..]);
            let inside =
                inside.filter(|name| name.starts_with(is_hangul) && !names_a_company(words[last - 1]));
            let Some(mentions) = several.chain(inside).find_map(|name| self.by_phrase.get(name)) else {
                continue;
            };
            for mention in mentions {
                let sector = &*self.careers[mention.career as usize].sector;
                if !sectors.contains(&sector) {
                    sectors.push(sector);
                }
            }
        }
        sectors
    }

    /// Whether some name has the last two characters of the text; `None` for a shorter text.
    fn ends_like_a_name(&self, text: &str) -> Option<bool> {
        last_two(text).map(|ending| self.endings.contains(&ending))
    }

    /// The sector of a title's word, whichever job the title names.
    pub(in crate::ranking) fn sector_of_word(&self, word: &str) -> Option<&str> {
        self.sector_words.get(word).map(String::as_str)
    }

    /// The first homonym of a sector that a name has.
    pub(in crate::ranking) fn homonym<'w>(
        &self,
        sector: &str,
        words: impl Iterator<Item = &'w str> + Clone,
    ) -> Option<&Homonym> {
        let mut of_sector =
            self.homonyms.iter().filter(|homonym| homonym.sectors.iter().any(|of| of == sector));
        of_sector.find(|homonym| homonym.is_in(words.clone()))
    }

    /// The career that a name stands for; `None` if the name is unknown or ambiguous.
    pub(in crate::ranking) fn find(&self, name: &str) -> Option<&CareerEntry> {
        let mentions = self.by_phrase.get(compact(name).as_str())?;
        let own: Vec<_> = mentions.iter().filter(|mention| mention.own_name).collect();
        let first = mentions.first()?;
        let career = match own.as_slice() {
            [only] => only.career,
            [] if mentions.iter().all(|mention| mention.career == first.career) => first.career,
            _ => return None,
        };
        self.careers.get(career as usize)
    }
}

/// The same texts as parts of one: as many small texts of their own would take twice the memory.
fn joined(texts: impl Iterator<Item = impl AsRef<str>>) -> impl Iterator<Item = Substr> {
    let mut all = String::new();
    let mut parts: Vec<Range<usize>> = Vec::new();
    for text in texts {
        let start = all.len();
        all.push_str(text.as_ref());
        parts.push(start..all.len());
    }
    let all = ArcStr::from(all);
    parts.into_iter().map(move |part| all.substr(part))
}

/// Gives each career of a family the first names of the others.
fn join_families(careers: &mut [CareerEntry], families: &[Vec<String>]) {
    let first_names = |career: &CareerEntry| career.phrases.iter().take(FAMILY_NAMES).cloned().collect();
    let names: FxHashMap<Substr, Vec<Substr>> =
        careers.iter().map(|career| (career.phrases[0].clone(), first_names(career))).collect();
    for career in careers {
        let own = career.phrases[0].as_str();
        for family in families.iter().filter(|family| family.iter().any(|name| name == own)) {
            let others = family.iter().filter(|other| *other != own);
            career.kin.extend(others.filter_map(|other| names.get(other.as_str())).flatten().cloned());
        }
    }
}

/// The words that belong to one sector: at least two of its careers have the word in a name, and these are at
/// least three fifths of all careers that have it. Job nouns do not count: they do not tell the sector.
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

/// Names of a career that the others of its family are searched for by.
const FAMILY_NAMES: usize = 4;

/// Most words of a career's name that titles are searched for.
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
    fn any_name_of_a_career_finds_it_in_any_spelling() {
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
        assert_eq!(Vocabulary::lint(BUILTIN).unwrap(), Vec::<String>::new());
        assert!(vocabulary.careers.len() >= 2_000, "{}", vocabulary.careers.len());
        let phrases: usize = vocabulary.careers.iter().map(|career| career.phrases.len()).sum();
        assert!(phrases >= 15_000, "{phrases}");
    }

    #[test]
    fn an_unknown_or_ambiguous_name_stands_for_no_career() {
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
