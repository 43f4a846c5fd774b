//! Cuts listings into tokens and makes a [`Segment`] of them.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::inverted_index::{Field, Inverter};
use super::segment::{Brief, Facts, Segment, TitleForm};
use crate::domain::{JobListing, ListingId};
use crate::ranking::text::audience::Audience;
use crate::ranking::text::english::{is_stop_word, word_tokens};
use crate::ranking::text::experience::{AskedYears, asked_years, stated_in_title};
use crate::ranking::text::function::{Functions, names_a_department};
use crate::ranking::text::hangul::{hangul_tokens, is_hangul, text_endings, title_endings};
use crate::ranking::text::licence::{Hints, Licence, required_licence};
use crate::ranking::text::sketch::{Sketcher, word_hash};
use crate::ranking::text::skills::listed_skills;
use crate::ranking::text::title::{TitleWord, company_key, title_key, title_words};
use crate::ranking::text::token::{Token, hash};
use crate::ranking::text::{Lexeme, lexemes, normalise};
use crate::ranking::vocabulary::Vocabulary;

const SECONDS_PER_DAY: i64 = 86_400;

/// Collects listings in any order.
pub struct SegmentBuilder {
    vocabulary: Arc<Vocabulary>,
    facts: Vec<Facts>,
    inverter: Inverter,
    /// Run of Hangul outside titles → its tokens. Listings repeat their words, so each is cut only once.
    runs: FxHashMap<Box<str>, CutWord>,
    /// Token of a Latin word → the word's tokens. Spellings that are one word (`node.js`, `nodejs`) get the tokens of the
    /// spelling that came first.
    words: FxHashMap<Token, CutWord>,
    numbers: Vec<u32>,
    /// What the words since the start of the listing's text hint at.
    hints: Hints,
    /// The words since the start of the listing's text.
    sketcher: Sketcher,
    /// Word of a title → its functions.
    functions: FxHashMap<Box<str>, Functions>,
    /// A site's wording → the years of experience that it asks for. A site has few wordings.
    wordings: FxHashMap<Box<str>, Option<AskedYears>>,
}

/// A word outside titles.
#[derive(Clone)]
struct CutWord {
    /// The range of its tokens in `numbers`.
    tokens: Range<usize>,
    /// What it hints at.
    hints: Hints,
    /// For the sketch of the text.
    hash: u32,
}

impl SegmentBuilder {
    /// A builder without listings.
    pub fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self {
            vocabulary,
            facts: Vec::new(),
            inverter: Inverter::default(),
            runs: FxHashMap::default(),
            words: FxHashMap::default(),
            numbers: Vec::new(),
            hints: Hints::default(),
            sketcher: Sketcher::default(),
            functions: FxHashMap::default(),
            wordings: FxHashMap::default(),
        }
    }

    /// Number of listings pushed.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Adds a listing.
    pub fn push(&mut self, listing: &JobListing) {
        let title = normalise(&listing.title);
        let words: Vec<TitleWord<'_>> = title_words(&title).collect();
        let tokens = self.add_title(&words);
        let functions = self.title_functions(&words);
        self.add_sectors(&words);
        self.add_skills(&listing.tech_stack);
        self.add_skills(&listing.required_skills);
        let text = normalise(&listing.description);
        (self.hints, self.sketcher) = (Hints::default(), Sketcher::default());
        self.add_text(Field::Text, &text);
        let licence = self.hints.suffice().then(|| required_licence(&text)).flatten();
        let licence = licence.or_else(|| required_licence_in_title(&title));
        self.inverter.end_listing();
        let lists_skills = !listing.tech_stack.is_empty() || !listing.required_skills.is_empty();
        let has_text = lists_skills || !listing.description.is_empty();
        let asked = stated_in_title(&title, words.iter().map(|word| word.lexeme.as_str()))
            .or_else(|| self.asked_years(&listing.experience))
            .or_else(|| asked_years(&title));
        let company = company_key(&normalise(&listing.company));
        let crawled_at = listing.crawled_at.map_or(i64::MIN, |at| at.timestamp());
        self.facts.push(Facts {
            id: listing.id.0,
            crawled_at,
            duplicate_key: duplicate_key(listing.id, &company, &words),
            company_key: if company.is_empty() { 0 } else { hash(&[&company]) as u32 | 1 },
            sketch: self.sketcher.finish(),
            brief: Brief {
                day: u16::try_from(crawled_at / SECONDS_PER_DAY).unwrap_or(0),
                years: asked,
                licence,
                title: TitleForm { functions, tokens, audience: Audience::of(&words), has_text },
                lists_skills,
            },
        });
    }

    /// Adds a title's words; returns the number of distinct tokens of its core words, without those of another name in
    /// brackets; a Latin word counts once.
    fn add_title(&mut self, words: &[TitleWord<'_>]) -> u8 {
        let mut core_tokens = 0;
        let mut before: Option<Lexeme<'_>> = None;
        for word in words {
            let added = self.add_lexeme(Field::Title, word.lexeme);
            if word.core && !word.aside {
                core_tokens += match word.lexeme {
                    Lexeme::Hangul(_) => added,
                    Lexeme::Word(_) => added.min(1),
                };
            }
            self.add_joints(before, word.lexeme);
            before = Some(word.lexeme);
        }
        core_tokens.min(usize::from(u8::MAX)) as u8
    }

    /// The functions that a title names: by its core words or else by any, and by a department only if nothing else
    /// names one.
    fn title_functions(&mut self, words: &[TitleWord<'_>]) -> Functions {
        let own: Vec<Functions> = words.iter().map(|word| self.functions_of(word.lexeme)).collect();
        let of = |counts: &dyn Fn(&TitleWord<'_>) -> bool| {
            let all = words.iter().zip(&own).filter(|(word, _)| counts(word));
            Functions::of_words(all.map(|(word, own)| (word.lexeme, *own)))
        };
        let people = of(&|word| word.core && !names_a_department(word.lexeme.as_str()));
        if !people.is_empty() {
            return people;
        }
        let departments = of(&|word| word.core);
        if departments.is_empty() { of(&|_| true) } else { departments }
    }

    fn asked_years(&mut self, experience: &str) -> Option<AskedYears> {
        if let Some(&known) = self.wordings.get(experience) {
            return known;
        }
        let asked = asked_years(&normalise(experience));
        self.wordings.insert(experience.into(), asked);
        asked
    }

    fn functions_of(&mut self, lexeme: Lexeme<'_>) -> Functions {
        if let Some(&known) = self.functions.get(lexeme.as_str()) {
            return known;
        }
        let functions = Functions::of_word(lexeme);
        self.functions.insert(lexeme.as_str().into(), functions);
        functions
    }

    /// Adds the sectors of the jobs that the title names, and the sectors of its core words.
    fn add_sectors(&mut self, words: &[TitleWord<'_>]) {
        let texts: Vec<&str> = words.iter().map(|word| word.lexeme.as_str()).collect();
        let vocabulary = Arc::clone(&self.vocabulary);
        let sectors = vocabulary.sectors_of(&texts);
        if !sectors.is_empty() {
            self.add_token(Field::Title, Token::any_sector());
        }
        for sector in sectors {
            self.add_token(Field::Title, Token::sector(sector));
        }
        let core = words.iter().filter(|word| word.core).map(|word| word.lexeme.as_str());
        for sector in core.filter_map(|word| vocabulary.sector_of_word(word)) {
            self.add_token(Field::Title, Token::sector_word(sector));
        }
    }

    /// Adds the tokens that make a title's words findable with other spacing, `웹개발자` by `웹 개발자`, `데이터 베이스` by
    /// `데이터베이스`, `full stack` by `fullstack`, and those of the beginnings and endings of its words.
    fn add_joints(&mut self, before: Option<Lexeme<'_>>, lexeme: Lexeme<'_>) {
        match (before, lexeme) {
            (Some(Lexeme::Word(first)), Lexeme::Word(second)) => {
                let joined = format!("{first}{second}");
                self.add_lexeme(Field::Title, Lexeme::Word(&joined));
            }
            (before, Lexeme::Hangul(run)) => {
                let Some(first) = run.chars().next() else { return };
                self.add_token(Field::Title, Token::syllable(first));
                let last = before.and_then(|before| before.as_str().chars().next_back());
                if let Some(last) = last.filter(|&c| is_hangul(c)) {
                    self.add_token(Field::Title, Token::pair(last, first));
                }
                for ending in title_endings(run) {
                    self.add_token(Field::Title, ending);
                }
            }
            _ => {}
        }
    }

    fn add_skills(&mut self, skills: &str) {
        if skills.is_empty() {
            return;
        }
        for skill in listed_skills(skills) {
            self.add_token(Field::Skills, Token::listed_skill(&skill));
        }
        self.add_text(Field::Skills, &normalise(skills));
    }

    fn add_text(&mut self, field: Field, text: &str) {
        for lexeme in lexemes(text) {
            self.add_lexeme(field, lexeme);
        }
    }

    /// Adds a lexeme's tokens; returns how many of them are new in this field of the listing.
    fn add_lexeme(&mut self, field: Field, lexeme: Lexeme<'_>) -> usize {
        match lexeme {
            Lexeme::Word(word) if is_stop_word(word) => 0,
            Lexeme::Hangul(run) if field == Field::Title => {
                hangul_tokens(run).filter(|&token| self.add_token(field, token)).count()
            }
            Lexeme::Hangul(run) => {
                let word = self.run(run);
                self.add_cut_word(field, word)
            }
            Lexeme::Word(word) => {
                let word = self.word(word);
                self.add_cut_word(field, word)
            }
        }
    }

    fn add_cut_word(&mut self, field: Field, word: CutWord) -> usize {
        self.hints = self.hints.and(word.hints);
        self.sketcher.push(word.hash);
        self.add_numbers(field, word.tokens)
    }

    fn run(&mut self, run: &str) -> CutWord {
        if let Some(known) = self.runs.get(run) {
            return known.clone();
        }
        let tokens = self.number_all(hangul_tokens(run).chain(text_endings(run)));
        let word = CutWord { tokens, hints: Hints::of_word(run), hash: word_hash(run) };
        self.runs.insert(run.into(), word.clone());
        word
    }

    fn word(&mut self, word: &str) -> CutWord {
        let token = Token::word(word);
        if let Some(known) = self.words.get(&token) {
            return known.clone();
        }
        let tokens = self.number_all(word_tokens(word));
        let cut = CutWord { tokens, hints: Hints::of_word(word), hash: word_hash(word) };
        self.words.insert(token, cut.clone());
        cut
    }

    fn number_all(&mut self, tokens: impl Iterator<Item = Token>) -> Range<usize> {
        let from = self.numbers.len();
        self.numbers.extend(tokens.map(|token| self.inverter.number(token)));
        from..self.numbers.len()
    }

    fn add_numbers(&mut self, field: Field, range: Range<usize>) -> usize {
        self.numbers[range].iter().filter(|&&number| self.inverter.add(field, number)).count()
    }

    /// Adds a token; false if the listing has it in this field already.
    fn add_token(&mut self, field: Field, token: Token) -> bool {
        let number = self.inverter.number(token);
        self.inverter.add(field, number)
    }

    /// The segment of everything pushed. Listings are numbered by id and tokens are sorted, so the order of pushing
    /// has no effect, except that of two listings with one id the later counts.
    pub fn finish(self) -> Segment {
        let order = self.order();
        let facts = order.iter().map(|&at| self.facts[at as usize]).collect();
        Segment::new(facts, self.inverter.invert(&order))
    }

    /// The positions, in the order of pushing, of the listings that count; sorted by id.
    fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.facts.len() as u32).collect();
        order.sort_by_key(|&at| (self.facts[at as usize].id, std::cmp::Reverse(at)));
        order.dedup_by_key(|at| self.facts[*at as usize].id);
        order
    }
}

/// The licence that a normalised title requires (`간호사 (면허 필수)`).
fn required_licence_in_title(title: &str) -> Option<Licence> {
    let may_require = ["필수", "required"].iter().any(|demand| title.contains(demand));
    may_require.then(|| required_licence(title)).flatten()
}

/// Equal for copies of one posting: same company, same title apart from prefixes, years and 채용/모집. Without a
/// company or without core words in its title, a posting is no copy of another.
fn duplicate_key(id: ListingId, company: &str, title: &[TitleWord<'_>]) -> u64 {
    let title = title_key(title);
    if company.is_empty() || title.is_empty() {
        return hash(&["", &id.0.to_string()]);
    }
    hash(&[company, &title])
}
