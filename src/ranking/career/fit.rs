//! The fit: how much of a career's name, or of a synonym, a listing shows, in which fields and in which form.

use super::group::{Group, Phrase};
use crate::ranking::index::inverted_index::{FIELDS, Field};
use crate::ranking::index::segment::TitleForm;
use crate::ranking::score::FULL;
use crate::ranking::text::audience::Audience;
use crate::ranking::text::function::Functions;

/// Worth of a phrase's token by the field that has it, in 1/100.
const FIELD_WORTH: [u32; FIELDS] = [100, 65, 50];

/// Share of the fit that depends on how few other words the title has.
const PURITY_SHARE: f64 = 0.12;

/// Worth of a role in the title, in 1/100, if the title shows nothing of the subject.
const ROLE_ALONE: u32 = 80;

/// Share of a title that is reserved for people in alternative military service.
const RESERVED_SHARE: f64 = 0.85;

/// Share of a title that offers a course, not a job.
const COURSE_SHARE: f64 = 0.4;

/// Share of the fit that depends on how much of the phrase the skills and the text repeat.
const SUPPORT_SHARE: f64 = 0.16;

/// Share of the missing fit that a title adds by naming a job of the career's sector.
const SAME_SECTOR_SHARE: f64 = 0.15;

/// Fit of a title that has a word of the career's sector, if nothing else shows the career.
const SECTOR_WORD_SHARE: f64 = 0.10;

/// Factor for a whole phrase whose words are not neighbours in a title that only names jobs of other sectors:
/// a '물류 기술영업 담당자' is not a '물류 담당자'.
const SCATTERED_SHARE: f64 = 0.70;

/// Factor for a part of a phrase in a title that only names jobs of other sectors.
const OTHER_SECTOR_SHARE: f64 = 0.85;

/// The evidence gate: the least fit of a listing that is recommended.
pub const LEAST_FIT: u16 = FULL / 100 * 30;

/// The evidence gate of a title that shows a whole word of the subject and not the subject: nearly all of the name.
const LEAST_FIT_OF_WORD: u16 = FULL / 100 * 45;

/// The least worth of a phrase, in 1/100, of which weak evidence can reach [`LEAST_FIT_OF_WORD`].
const LEAST_WORTH_OF_WORD: u16 = 84;

/// The tokens of a group that a listing has, as bits; one mask per field.
pub type Masks = [u64; FIELDS];

/// How much of a phrase a title shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Extent {
    /// All of it.
    Whole,
    /// The whole subject.
    Subject,
    /// A whole word of the subject.
    Word,
    /// Nothing but roles and parts of words.
    Fragment,
}

/// The best that a listing shows of a career. The representation makes [`Nothing`](Self::Nothing) all zeros: a search for a
/// career begins by filling a list of all listings with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Shown {
    /// Nothing.
    #[default]
    Nothing = 0,
    /// A phrase of the plan.
    Phrase {
        /// How much of the phrase the title shows.
        extent: Extent,
        /// Its number, counted over all groups of the plan.
        number: u16,
    },
    /// No phrase, but the title names a job of the career's sector.
    SectorJob,
    /// No phrase, but the title has a word of the career's sector.
    SectorWord,
}

impl Shown {
    /// Whether it passes the evidence gate with a fit.
    pub fn is_evidence(self, fit: u16) -> bool {
        match self {
            Self::Phrase { extent: Extent::Whole | Extent::Subject, .. } => fit >= LEAST_FIT,
            Self::Phrase { extent: Extent::Word, .. } => fit >= LEAST_FIT_OF_WORD,
            Self::Phrase { extent: Extent::Fragment, .. } => false,
            Self::SectorJob | Self::SectorWord | Self::Nothing => false,
        }
    }

    /// Of two matches with the same fit, the one with the smaller order counts.
    pub fn order(self) -> u16 {
        match self {
            Self::Phrase { number, .. } => number,
            Self::SectorJob | Self::SectorWord | Self::Nothing => u16::MAX,
        }
    }
}

/// A listing's fit to a career and the evidence for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Match {
    /// 0 to [`FULL`].
    pub fit: u16,
    /// The evidence for the fit.
    pub shown: Shown,
}

impl Match {
    /// Whether it counts and not the other: evidence counts more than a higher fit that is none.
    pub fn is_better_than(self, other: Self) -> bool {
        let rank = |of: Self| (of.shown.is_evidence(of.fit), of.fit);
        rank(self) > rank(other)
    }

    /// For a title that names a job of the career's sector, if nothing in the listing shows the career itself.
    pub fn sector_job() -> Self {
        Self { fit: points(WEAK_SHARE * SAME_SECTOR_SHARE), shown: Shown::SectorJob }
    }

    /// For a title that has a word of the career's sector but names no job of it.
    pub fn sector_word() -> Self {
        Self { fit: points(WEAK_SHARE * SECTOR_WORD_SHARE), shown: Shown::SectorWord }
    }
}

/// The match of the best phrase, of several the first. `first_phrase` is the number of the group's first phrase.
pub fn best_phrase(group: &Group, masks: Masks, title: TitleForm, first_phrase: u16) -> Match {
    best_of(phrases(group, masks, title, first_phrase, |_, _| true))
}

/// As [`best_phrase`], of the phrases for which the listing shows evidence; without one, nothing.
pub fn best_evidence(group: &Group, masks: Masks, title: TitleForm, first_phrase: u16) -> Match {
    let found = phrases(group, masks, title, first_phrase, may_be_evidence);
    best_of(found.filter(|found| found.shown.is_evidence(found.fit)))
}

fn best_of(found: impl Iterator<Item = Match>) -> Match {
    found.fold(Match::default(), |best, found| if found.is_better_than(best) { found } else { best })
}

/// The matches of the phrases that a listing shows something of, if their extents are wanted.
fn phrases(
    group: &Group,
    masks: Masks,
    title: TitleForm,
    first_phrase: u16,
    is_wanted: impl Fn(&Phrase, Extent) -> bool,
) -> impl Iterator<Item = Match> {
    let [in_title, in_skills, in_text] = masks;
    let shown = in_title | in_skills | in_text;
    let shown = group.phrases.iter().zip(first_phrase..).filter(move |(phrase, _)| shown & phrase.core != 0);
    shown.filter_map(move |(phrase, number)| {
        let extent = extent(phrase, in_title);
        let shown = Shown::Phrase { number, extent };
        is_wanted(phrase, extent).then(|| Match { fit: fit(group, phrase, masks, title), shown })
    })
}

/// Whether a title that shows so much of a phrase can pass the evidence gate at all; cheaper than its fit.
fn may_be_evidence(phrase: &Phrase, extent: Extent) -> bool {
    match extent {
        Extent::Whole | Extent::Subject => true,
        Extent::Word => phrase.worth >= LEAST_WORTH_OF_WORD || !phrase.modifiers.is_empty(),
        Extent::Fragment => false,
    }
}

fn extent(phrase: &Phrase, in_title: u64) -> Extent {
    let shows = |mask: u64| in_title & mask == mask;
    if shows(phrase.mask) {
        Extent::Whole
    } else if shows(phrase.subject()) {
        Extent::Subject
    } else if phrase.subject_words.iter().any(|&word| shows(word)) {
        Extent::Word
    } else {
        Extent::Fragment
    }
}

/// Factor of evidence that is less than the subject.
const WEAK_SHARE: f64 = 0.7;

/// The fit of a title that shows the whole subject, else of weak evidence.
fn fit(group: &Group, phrase: &Phrase, masks: Masks, title: TitleForm) -> u16 {
    let shown = match level(group, phrase, masks, title) {
        Some(level) => level * form(group, phrase, masks, title),
        None => WEAK_SHARE * weak(group, phrase, masks),
    };
    points(f64::from(phrase.worth) / 100.0 * modified(phrase, masks) * shown)
}

/// How much of a phrase's worth the words leave that the career's own name has besides it.
fn modified(phrase: &Phrase, masks: Masks) -> f64 {
    if phrase.modifiers.is_empty() {
        return 1.0;
    }
    let [title, skills, text] = masks;
    let count = |mask: u64| phrase.modifiers.iter().filter(|&&word| mask & word == word).count() as f64;
    let all = phrase.modifiers.len() as f64;
    let (in_title, anywhere) = (count(title), count(title | skills | text));
    0.5 + 0.3 * (anywhere / all) + 0.4 * (in_title / all)
}

/// How surely a title names the phrase's job; `None` if it does not show the whole subject.
fn level(group: &Group, phrase: &Phrase, masks: Masks, title: TitleForm) -> Option<f64> {
    let [in_title, in_skills, in_text] = masks;
    let subject = phrase.subject();
    if in_title & subject != subject {
        return None;
    }
    if phrase.is_other_sense(in_title, in_title | in_skills | in_text) {
        return Some(0.35);
    }
    let functions = title.functions;
    let extra = functions.without(phrase.functions);
    let same_sector = in_title & group.sector != 0;
    let other_sector = in_title & group.any_sector != 0 && !same_sector;
    let strays = !phrase.functions.is_empty() && !functions.is_empty() && !phrase.functions.meets(functions);
    let is_joined = |joints: u64| in_title & joints == joints;
    if in_title & phrase.mask == phrase.mask && !strays {
        let has_role = !phrase.role_functions.is_empty() || phrase.role & phrase.mask == 0;
        match is_joined(phrase.joints) {
            // Initials beside another function are more often those of something else (`RN` of React Native).
            true if phrase.is_initials() && !functions.is_empty() => return Some(0.4),
            true if extra.is_empty() => return Some(1.0),
            true => return Some(0.96),
            false if has_role && !other_sector && extra.is_empty() => {
                return Some(if same_sector || phrase.is_own_name() { 0.9 } else { 0.75 });
            }
            false if has_role => return Some(0.6),
            // A role that exists in any function says nothing away from the subject.
            false => {}
        }
    }
    // Several words of a subject side by side are surer than the sector of a shorter name inside them.
    let doubtful = other_sector && (phrase.subject_words.len() < 2 || !is_joined(phrase.subject_joints));
    let is_boilerplate = phrase.is_boilerplate || phrase.has_boilerplate && !is_joined(phrase.subject_joints);
    let level = if strays || is_boilerplate {
        0.35
    } else if phrase.is_profession {
        0.7
    } else if phrase.role_functions.is_empty() {
        match (phrase.functions.is_empty(), extra.is_empty()) {
            (true, false) if same_sector => {
                if subject.is_power_of_two() {
                    0.5
                } else {
                    0.7
                }
            }
            (true, false) => 0.35,
            _ if doubtful => 0.45,
            (_, false) if phrase.is_function && !same_sector => 0.5,
            _ if phrase.is_function && !same_sector && !phrase.is_own_name() => 0.5,
            _ if phrase.is_function && !same_sector => 0.7,
            // A single word may stand beside any job (`브랜드`).
            (true, true) if !same_sector && phrase.subject_words.len() == 1 => {
                if phrase.is_own_name() {
                    0.7
                } else {
                    0.6
                }
            }
            // The function of a synonym beside another one is more often only a part of the work (`연구`).
            (_, false)
                if phrase.is_function
                    && !phrase.is_own_name()
                    && !extra.without(Functions::ENGINEERING).is_empty() =>
            {
                0.45
            }
            (_, true) => 0.92,
            (_, false) => 0.75,
        }
    } else if phrase.role_functions.meets(functions) {
        match (doubtful, extra.is_empty()) {
            (true, _) => 0.5,
            (false, true) => 0.9,
            (false, false) => 0.7,
        }
    } else if functions.is_empty() {
        // A single word beside which nothing tells the work may belong to any job (`브랜드`, `서비스`).
        if phrase.subject_words.len() == 1 { 0.45 } else { 0.7 }
    } else {
        0.3
    };
    Some(level * if is_joined(phrase.subject_joints) { 1.0 } else { 0.85 })
}

/// `p · coverage^1.5`, adjusted by the sector of the title. IEEE 754 defines exact results for multiplication,
/// division and square root but not for a power function, hence the exponent 1.5.
fn weak(group: &Group, phrase: &Phrase, masks: Masks) -> f64 {
    let coverage = coverage(group, phrase, masks);
    if coverage == 0.0 {
        return 0.0;
    }
    let shown = coverage * coverage.sqrt();
    let title = masks[Field::Title as usize];
    if title & group.sector != 0 {
        in_same_sector(shown)
    } else if title & group.any_sector == 0 {
        shown
    } else if title & phrase.mask != phrase.mask {
        shown * OTHER_SECTOR_SHARE
    } else if title & phrase.joints != phrase.joints {
        shown * SCATTERED_SHARE
    } else {
        shown
    }
}

fn in_same_sector(shown: f64) -> f64 {
    shown + (1.0 - shown) * SAME_SECTOR_SHARE
}

/// The fit of a share. The exponent 1.5 makes scores follow the share of right listings: on lists of whole users, half of
/// the listings that show half of a career are wrong, and those hardly count (see `docs/ranking.md`).
fn points(share: f64) -> u16 {
    (share * share.sqrt() * f64::from(FULL)).round() as u16
}

/// The weighted share of the phrase that the listing shows. A role counts in full only together with a part of the
/// subject: an electrical engineer whose text mentions quality is not a quality engineer.
fn coverage(group: &Group, phrase: &Phrase, masks: Masks) -> f64 {
    let [title, skills, text] = split_masks(group, phrase, masks);
    if (title | skills | text) & phrase.core == 0 {
        return 0.0;
    }
    let subject = phrase.mask & !phrase.role;
    let lone_role = if subject != 0 && title & subject == 0 { title } else { 0 };
    let found = FIELD_WORTH[0] * group.weight_of(title & !lone_role)
        + ROLE_ALONE * group.weight_of(lone_role)
        + FIELD_WORTH[1] * group.weight_of(skills)
        + FIELD_WORTH[2] * group.weight_of(text);
    f64::from(found) / f64::from(FIELD_WORTH[0] * phrase.weight)
}

/// How well the form of the listing fits, in 0..=1: how few other words the title has, and how much of the phrase the
/// skills and the text repeat.
fn form(group: &Group, phrase: &Phrase, masks: Masks, title: TitleForm) -> f64 {
    let in_title = masks[Field::Title as usize];
    let purity = f64::from((in_title & phrase.mask).count_ones()) / f64::from(title.tokens.max(1));
    let elsewhere = (masks[Field::Skills as usize] | masks[Field::Text as usize]) & phrase.mask;
    let support = f64::from(group.weight_of(elsewhere)) / f64::from(phrase.weight);
    let support = if title.has_text { support } else { 0.5 };
    let open = match title.audience {
        Audience::Workers => 1.0,
        Audience::Conscripts => RESERVED_SHARE,
        Audience::Learners => COURSE_SHARE,
    };
    open - PURITY_SHARE * (1.0 - purity.min(1.0)) - SUPPORT_SHARE * (1.0 - support)
}

/// The tokens of one phrase, each in its best field only. Outside titles, a phrase of a single token is more often a
/// homonym than the job (`chef` in a list of tools). It then counts only in texts, and only if the title names a job
/// of the career's sector.
fn split_masks(group: &Group, phrase: &Phrase, masks: Masks) -> Masks {
    let title = masks[Field::Title as usize] & phrase.mask;
    let skills = masks[Field::Skills as usize] & phrase.mask & !title;
    let text = masks[Field::Text as usize] & phrase.mask & !title & !skills;
    if !phrase.is_lone() {
        return [title, skills, text];
    }
    let confirmed = masks[Field::Title as usize] & group.sector != 0;
    [title, 0, if confirmed { masks[Field::Text as usize] & phrase.mask & !title } else { 0 }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_evidence_of_a_phrase_of_less_worth_never_passes_the_gate() {
        let most = |worth: u16| points(f64::from(worth) / 100.0 * WEAK_SHARE);
        assert!(most(LEAST_WORTH_OF_WORD) >= LEAST_FIT_OF_WORD);
        assert!(most(LEAST_WORTH_OF_WORD - 1) < LEAST_FIT_OF_WORD);
    }
}
