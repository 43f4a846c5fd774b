//! The immutable snapshot of all listings that recommendations are computed from, and its caches.

mod builder;
mod cache;
mod per_segment;

use std::num::NonZeroUsize;
use std::sync::Arc;

pub use self::builder::CatalogueBuilder;
use self::cache::Cache;
use self::per_segment::PerSegment;
use crate::domain::{CatalogueVersion, JobListing, ListingId};
use crate::ranking::career::candidates::{Candidates, KEPT};
use crate::ranking::career::plan::Plan;
use crate::ranking::career::rarity;
use crate::ranking::index::inverted_index::Field;
use crate::ranking::index::listing_set::ListingSet;
use crate::ranking::index::live_segment::LiveSegment;
use crate::ranking::index::merge::merge_small;
use crate::ranking::index::segment::SEGMENT_LISTINGS;
use crate::ranking::text::compact;
use crate::ranking::text::skills::term_tokens;
use crate::ranking::text::token::Token;
use crate::ranking::vocabulary::Vocabulary;

/// Careers whose candidates are cached; at a million listings each takes about half a megabyte.
const CACHED_CAREERS: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
/// Skills and interests whose listings are cached; at a million listings each takes a quarter of a megabyte.
const CACHED_TERMS: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// All listings of one version, searchable. Share it by [`Arc`]; a refresh makes a new one.
///
/// ```
/// use std::sync::Arc;
///
/// use job_agent::domain::{
///     Career, CareerProfile, CatalogueVersion, JobListing, ListingId, MatchScore,
/// };
/// use job_agent::ranking::{CatalogueBuilder, Vocabulary};
///
/// let listing = |id, title: &str| JobListing {
///     id: ListingId(id),
///     title: title.to_owned(),
///     company: format!("회사 {id}"),
///     description: String::new(),
///     experience: String::new(),
///     tech_stack: "Java, Redis".to_owned(),
///     required_skills: String::new(),
///     crawled_at: None,
/// };
/// let mut builder = CatalogueBuilder::new(Arc::new(Vocabulary::builtin()));
/// builder.push(&listing(1, "간호사"));
/// builder.push(&listing(2, "서버 개발자 채용"));
/// let catalogue = builder.finish(CatalogueVersion(1));
///
/// let career =
///     Career { name: "백엔드 개발자".to_owned(), category: None, match_score: MatchScore::FULL };
/// let profile = CareerProfile {
///     careers: vec![career],
///     skills: vec!["Java".to_owned()],
///     ..CareerProfile::default()
/// };
/// let recommended = catalogue.recommend(&profile, 50);
/// assert_eq!(recommended.len(), 1);
/// assert_eq!(recommended[0].listing_id, ListingId(2));
/// assert_eq!(
///     recommended[0].reason,
///     "공고 제목의 '서버 개발자'는 추천 직업 '백엔드 개발자'와 같은 계열입니다. 보유 기술 Java가 공고에 있습니다."
/// );
/// ```
#[derive(Debug)]
pub struct Catalogue {
    version: CatalogueVersion,
    vocabulary: Arc<Vocabulary>,
    sizes: Sizes,
    segments: Vec<LiveSegment>,
    /// Number of listings without the deleted ones.
    len: usize,
    /// The newest day on which a listing was seen; the "today" of freshness.
    newest_day: u16,
    caches: Caches,
}

/// The values that were computed for careers and terms so far.
#[derive(Debug)]
struct Caches {
    careers: Cache<CareerIndex>,
    terms: Cache<TermIndex>,
}

impl Default for Caches {
    fn default() -> Self {
        Self { careers: Cache::new(CACHED_CAREERS), terms: Cache::new(CACHED_TERMS) }
    }
}

/// A career's plan, and the candidates that it finds in every segment.
#[derive(Debug)]
pub(in crate::ranking) struct CareerIndex {
    /// The career's phrases.
    pub plan: Plan,
    /// The candidates.
    pub candidates: PerSegment<Candidates>,
}

/// The listings in every segment that name a term.
pub(in crate::ranking) type TermIndex = PerSegment<ListingSet>;

/// Sizes that change speed and memory, never a result.
#[derive(Clone, Copy, Debug)]
pub(in crate::ranking) struct Sizes {
    /// Listings per segment.
    pub segment: usize,
    /// Candidates kept per career and segment.
    pub kept: usize,
}

impl Sizes {
    const PRODUCTION: Self = Self { segment: SEGMENT_LISTINGS, kept: KEPT };
}

impl Catalogue {
    fn new(
        version: CatalogueVersion,
        vocabulary: Arc<Vocabulary>,
        sizes: Sizes,
        segments: Vec<LiveSegment>,
        caches: Caches,
    ) -> Self {
        let len = segments.iter().map(LiveSegment::len).sum();
        let newest_day = segments.iter().filter_map(LiveSegment::newest_day).max().unwrap_or(0);
        Self { version, vocabulary, sizes, segments, len, newest_day, caches }
    }

    /// The version as which it was built; a later one is greater.
    pub fn version(&self) -> CatalogueVersion {
        self.version
    }

    /// Number of listings.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no listings.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Estimated heap use in bytes, caches included.
    pub fn memory_bytes(&self) -> usize {
        let segments = self.segments.iter().map(LiveSegment::memory_bytes);
        let careers = self
            .caches
            .careers
            .total(|career| career.candidates.iter().map(|candidates| candidates.memory_bytes()).sum());
        let terms = self.caches.terms.total(|term| term.iter().map(|listings| listings.memory_bytes()).sum());
        segments.sum::<usize>() + careers + terms
    }

    /// The catalogue after a refresh in which listings were added or changed, and others deleted. It gives the same
    /// results as a catalogue built from the resulting listings.
    pub fn with_changes(
        &self,
        version: CatalogueVersion,
        changed: &[JobListing],
        deleted: &[ListingId],
    ) -> Self {
        let mut gone: Vec<i64> = deleted.iter().map(|id| id.0).collect();
        gone.extend(changed.iter().map(|listing| listing.id.0));
        gone.sort_unstable();
        let mut segments = self.segments.clone();
        segments.iter_mut().for_each(|live| live.delete(&gone));
        let mut added = CatalogueBuilder::with_sizes(Arc::clone(&self.vocabulary), self.sizes);
        changed.iter().for_each(|listing| added.push(listing));
        segments.extend(added.into_segments());
        merge_small(&mut segments, self.sizes.segment);
        let caches =
            Caches { careers: self.caches.careers.successor(), terms: self.caches.terms.successor() };
        Self::new(version, Arc::clone(&self.vocabulary), self.sizes, segments, caches)
    }

    /// All segments; a position here is the position in every [`PerSegment`].
    pub(in crate::ranking) fn segments(&self) -> &[LiveSegment] {
        &self.segments
    }

    /// The newest day on which a listing was seen.
    pub(in crate::ranking) fn newest_day(&self) -> u16 {
        self.newest_day
    }

    /// A career's plan and candidates, cached.
    pub(in crate::ranking) fn career(&self, name: &str) -> Arc<CareerIndex> {
        // The key is the name as written, because its spaces decide its tokens.
        self.caches.careers.get(name, |older| {
            let plan = self.plan(name);
            let older = older.filter(|older| older.plan == plan).map(|older| &older.candidates);
            let find = |segment: &_| Candidates::find(segment, &plan, self.sizes.kept);
            let candidates = PerSegment::new(older, &self.segments, find);
            CareerIndex { plan, candidates }
        })
    }

    /// A career's phrases, weighed by the rarity of their tokens in this catalogue.
    fn plan(&self, career: &str) -> Plan {
        Plan::new(career, &self.vocabulary, |alternatives| {
            let occurrences = alternatives.iter().map(|&token| self.occurrences(token)).sum();
            rarity::weight(occurrences, self.len)
        })
    }

    /// How often a token occurs: a listing counts once for every field that has it.
    fn occurrences(&self, token: Token) -> usize {
        self.segments.iter().map(|live| live.occurrences(token)).sum()
    }

    /// The listings that name a skill or an interest, cached.
    pub(in crate::ranking) fn term(&self, term: &str) -> Arc<TermIndex> {
        self.caches.terms.get(term, |older| {
            let tokens = term_tokens(term);
            PerSegment::new(older, &self.segments, |segment| segment.with_all(&tokens))
        })
    }

    /// Whether any listing lists exactly this term as a skill.
    pub(in crate::ranking) fn knows_skill(&self, term: &str) -> bool {
        let token = Token::listed_skill(&compact(term));
        self.segments.iter().any(|live| live.contains(Field::Skills, token))
    }
}
