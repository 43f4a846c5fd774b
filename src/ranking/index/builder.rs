//! Cuts listings into tokens and inverts them into a [`Segment`].

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::domain::JobListing;
use crate::ranking::index::segment::{Brief, FIELDS, Facts, Field, Segment};
use crate::ranking::text::english::{is_stop_word, plain_name, stem};
use crate::ranking::text::experience::asked_years;
use crate::ranking::text::hangul::{hangul_tokens, is_hangul, text_endings, title_endings};
use crate::ranking::text::skills::listed_skills;
use crate::ranking::text::title::{TitleWord, company_key, title_key, title_words};
use crate::ranking::text::token::{Token, hash};
use crate::ranking::text::{Lexeme, lexemes, normalise};
use crate::ranking::vocabulary::Vocabulary;

const NONE: u32 = u32::MAX;
const SECONDS_PER_DAY: i64 = 86_400;

/// Collects listings in any order.
pub struct SegmentBuilder {
    vocabulary: Arc<Vocabulary>,
    facts: Vec<Facts>,
    /// Where the occurrences of each listing end.
    ends: Vec<usize>,
    /// `token number * FIELDS + field` of every distinct token of every field of every listing.
    occurrences: Vec<u32>,
    numbers: FxHashMap<Token, u32>,
    tokens: Vec<TokenState>,
    /// Where in `run_tokens` the tokens of each run of Hangul are that a text has had.
    runs: FxHashMap<Box<str>, Range<usize>>,
    run_tokens: Vec<u32>,
}

/// What the builder knows of a token it has numbered.
struct TokenState {
    token: Token,
    /// The last listing (counted from 1) that has it in each field: a token counts once per listing and field.
    seen_in: [u32; FIELDS],
    /// Tokens that come along with a word: its stem and its plainer name.
    companions: Option<[u32; 2]>,
}

impl SegmentBuilder {
    /// An empty segment to be.
    pub fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self {
            vocabulary,
            facts: Vec::new(),
            ends: Vec::new(),
            occurrences: Vec::new(),
            numbers: FxHashMap::default(),
            tokens: Vec::new(),
            runs: FxHashMap::default(),
            run_tokens: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Adds a listing.
    pub fn push(&mut self, listing: &JobListing) {
        let listing_number = self.facts.len() as u32 + 1;
        let title = normalise(&listing.title);
        let words: Vec<TitleWord<'_>> = title_words(&title).collect();
        let title_tokens = self.add_title(listing_number, &words);
        self.add_sectors(listing_number, &words);
        self.add_skills(listing_number, &listing.tech_stack);
        self.add_skills(listing_number, &listing.required_skills);
        self.add_text(listing_number, Field::Text, &normalise(&listing.description));
        self.ends.push(self.occurrences.len());
        let asked = asked_years(&normalise(&listing.experience)).or_else(|| asked_years(&title));
        let crawled_at = listing.crawled_at.map_or(i64::MIN, |at| at.timestamp());
        self.facts.push(Facts {
            id: listing.id.0,
            crawled_at,
            duplicate_key: duplicate_key(listing, &words),
            brief: Brief {
                day: u16::try_from(crawled_at / SECONDS_PER_DAY).unwrap_or(0),
                years: asked,
                title_tokens,
            },
        });
    }

    fn add_title(&mut self, listing: u32, words: &[TitleWord<'_>]) -> u8 {
        let mut core_tokens = 0;
        let mut before: Option<Lexeme<'_>> = None;
        for word in words {
            let known = self.occurrences.len();
            self.add_lexeme(listing, Field::Title, word.lexeme);
            if word.core {
                core_tokens += match word.lexeme {
                    Lexeme::Hangul(_) => self.occurrences.len() - known,
                    Lexeme::Word(_) => usize::from(self.occurrences.len() > known),
                };
            }
            self.add_joints(listing, before, word.lexeme);
            before = Some(word.lexeme);
        }
        core_tokens.min(usize::from(u8::MAX)) as u8
    }

    /// The sectors that the title names a job of, and those that it has words of.
    fn add_sectors(&mut self, listing: u32, words: &[TitleWord<'_>]) {
        let texts: Vec<&str> = words.iter().map(|word| word.lexeme.as_str()).collect();
        let vocabulary = Arc::clone(&self.vocabulary);
        let sectors = vocabulary.sectors_of(&texts);
        if !sectors.is_empty() {
            self.add_token(listing, Field::Title, Token::any_sector());
        }
        for sector in sectors {
            self.add_token(listing, Field::Title, Token::sector(sector));
        }
        let core = words.iter().filter(|word| word.core).map(|word| word.lexeme.as_str());
        for sector in core.filter_map(|word| vocabulary.sector_of_word(word)) {
            self.add_token(listing, Field::Title, Token::sector_word(sector));
        }
    }

    /// What makes a title's words findable however the seeker sets spaces: `웹개발자` by `웹 개발자`,
    /// `데이터 베이스` by `데이터베이스`, `full stack` by `fullstack`; and how its words begin and end.
    fn add_joints(&mut self, listing: u32, before: Option<Lexeme<'_>>, lexeme: Lexeme<'_>) {
        match (before, lexeme) {
            (Some(Lexeme::Word(first)), Lexeme::Word(second)) => {
                let joined = format!("{first}{second}");
                self.add_lexeme(listing, Field::Title, Lexeme::Word(&joined));
            }
            (before, Lexeme::Hangul(run)) => {
                let Some(first) = run.chars().next() else { return };
                self.add_token(listing, Field::Title, Token::syllable(first));
                if let Some(last) =
                    before.and_then(|before| before.as_str().chars().next_back()).filter(|&c| is_hangul(c))
                {
                    self.add_token(listing, Field::Title, Token::pair(last, first));
                }
                for ending in title_endings(run) {
                    self.add_token(listing, Field::Title, ending);
                }
            }
            _ => {}
        }
    }

    fn add_skills(&mut self, listing: u32, skills: &str) {
        if skills.is_empty() {
            return;
        }
        for skill in listed_skills(skills) {
            self.add_token(listing, Field::Skills, Token::listed_skill(&skill));
        }
        self.add_text(listing, Field::Skills, &normalise(skills));
    }

    fn add_text(&mut self, listing: u32, field: Field, text: &str) {
        for lexeme in lexemes(text) {
            self.add_lexeme(listing, field, lexeme);
        }
    }

    fn add_lexeme(&mut self, listing: u32, field: Field, lexeme: Lexeme<'_>) {
        match lexeme {
            Lexeme::Hangul(run) if field == Field::Title => {
                for token in hangul_tokens(run) {
                    self.add_token(listing, field, token);
                }
            }
            Lexeme::Hangul(run) => self.add_run(listing, field, run),
            Lexeme::Word(word) if !is_stop_word(word) => {
                let number = self.number(Token::word(word));
                self.occur(listing, field, number);
                for companion in self.companions(number, word) {
                    if companion != NONE {
                        self.occur(listing, field, companion);
                    }
                }
            }
            Lexeme::Word(_) => {}
        }
    }

    /// Texts repeat their words: what a run of Hangul is made of is looked up once.
    fn add_run(&mut self, listing: u32, field: Field, run: &str) {
        let tokens = self.runs.get(run).cloned().unwrap_or_else(|| {
            let from = self.run_tokens.len();
            for token in hangul_tokens(run).chain(text_endings(run)) {
                let number = self.number(token);
                self.run_tokens.push(number);
            }
            let tokens = from..self.run_tokens.len();
            self.runs.insert(run.into(), tokens.clone());
            tokens
        });
        for at in tokens {
            self.occur(listing, field, self.run_tokens[at]);
        }
    }

    fn add_token(&mut self, listing: u32, field: Field, token: Token) {
        let number = self.number(token);
        self.occur(listing, field, number);
    }

    fn occur(&mut self, listing: u32, field: Field, number: u32) {
        let state = &mut self.tokens[number as usize];
        let seen_in = &mut state.seen_in[field as usize];
        if *seen_in != listing {
            *seen_in = listing;
            self.occurrences.push(number * FIELDS as u32 + field as u32);
        }
    }

    fn number(&mut self, token: Token) -> u32 {
        *self.numbers.entry(token).or_insert_with(|| {
            self.tokens.push(TokenState { token, seen_in: [0; FIELDS], companions: None });
            self.tokens.len() as u32 - 1
        })
    }

    fn companions(&mut self, number: u32, word: &str) -> [u32; 2] {
        if let Some(known) = self.tokens[number as usize].companions {
            return known;
        }
        let stem = stem(word).filter(|stem| stem != word);
        let stem = stem.map_or(NONE, |stem| self.number(Token::stem(&stem)));
        let plain = plain_name(word).map_or(NONE, |plain| self.number(Token::word(plain)));
        self.tokens[number as usize].companions = Some([stem, plain]);
        [stem, plain]
    }

    /// Inverts what was pushed. Listings are numbered by id, tokens sorted: the order of pushing is gone, except
    /// that of two listings with one id the later counts.
    pub fn finish(self) -> Segment {
        let order = self.order();
        let mut by_token: Vec<u32> = (0..self.tokens.len() as u32).collect();
        by_token.sort_unstable_by_key(|&number| self.tokens[number as usize].token);
        let (starts, mut next) = self.starts(&order, &by_token);
        let mut postings = vec![0_u16; starts.last().map_or(0, |&total| total as usize)];
        for (listing, &at) in order.iter().enumerate() {
            for &occurrence in self.occurrences_of(at) {
                let next = &mut next[occurrence as usize];
                postings[*next as usize] = listing as u16;
                *next += 1;
            }
        }
        let facts = order.iter().map(|&at| self.facts[at as usize]).collect();
        let tokens = by_token.iter().map(|&number| self.tokens[number as usize].token).collect();
        Segment::new(facts, tokens, starts, postings)
    }

    /// The positions of the listings that count, by id.
    fn order(&self) -> Vec<u32> {
        let id = |at: &mut u32| self.facts[*at as usize].id;
        let mut order: Vec<u32> = (0..self.facts.len() as u32).collect();
        order.sort_by_key(|&at| (self.facts[at as usize].id, std::cmp::Reverse(at)));
        order.dedup_by_key(id);
        order
    }

    fn occurrences_of(&self, at: u32) -> &[u32] {
        let at = at as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.occurrences[start..self.ends[at]]
    }

    /// Where each token's postings start, in the order of `by_token`, and where the first posting of each
    /// occurrence number goes.
    fn starts(&self, order: &[u32], by_token: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut slots = vec![0_u32; self.tokens.len() * FIELDS];
        for &occurrence in order.iter().flat_map(|&at| self.occurrences_of(at)) {
            slots[occurrence as usize] += 1;
        }
        let mut starts = Vec::with_capacity(slots.len() + 1);
        let mut total = 0;
        starts.push(0);
        for &number in by_token {
            for slot in &mut slots[number as usize * FIELDS..][..FIELDS] {
                let count = std::mem::replace(slot, total);
                total += count;
                starts.push(total);
            }
        }
        (starts, slots)
    }
}

/// Equal for copies of one posting: same company, same title but for prefixes, years and 채용/모집. A posting
/// without a company or without any title of its own is nobody's copy.
fn duplicate_key(listing: &JobListing, title: &[TitleWord<'_>]) -> u64 {
    let company = company_key(&normalise(&listing.company));
    let title = title_key(title);
    if company.is_empty() || title.is_empty() {
        return hash(&["", &listing.id.0.to_string()]);
    }
    hash(&[&company, &title])
}
