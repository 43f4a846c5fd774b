//! The fit: how much of a career's name, or of a synonym, a listing shows, in which fields and in which form.

use super::plan::{Group, Phrase};
use crate::ranking::index::inverted_index::{FIELDS, Field};
use crate::ranking::score::FULL;

/// Worth of a phrase's token by the field that has it, in 1/100.
const FIELD_WORTH: [u32; FIELDS] = [100, 65, 50];

/// Share of the fit that depends on how few other words the title has.
const PURITY_SHARE: f64 = 0.12;

/// Share of the fit that depends on whether the phrase's words are neighbours in the title.
const ADJACENCY_SHARE: f64 = 0.12;

/// Worth of a role in the title, in 1/100, if the title shows nothing of the subject.
const ROLE_ALONE: u32 = 80;

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

/// The tokens of a group that a listing has, as bits; one mask per field.
pub type Masks = [u64; FIELDS];

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
        /// Whether the title shows the whole phrase.
        whole: bool,
        /// Its number, counted over all groups of the plan.
        number: u16,
    },
    /// No phrase, but the title names a job of the career's sector.
    SectorJob,
    /// No phrase, but the title has a word of the career's sector.
    SectorWord,
}

impl Shown {
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
    /// For a title that names a job of the career's sector, if nothing in the listing shows the career itself.
    pub fn sector_job() -> Self {
        Self { fit: points(SAME_SECTOR_SHARE), shown: Shown::SectorJob }
    }

    /// For a title that has a word of the career's sector but names no job of it.
    pub fn sector_word() -> Self {
        Self { fit: points(SECTOR_WORD_SHARE), shown: Shown::SectorWord }
    }
}

/// The match of the first phrase with the highest fit. `first_phrase` is the number of the group's first phrase.
pub fn best_phrase(group: &Group, masks: Masks, title_tokens: u8, first_phrase: u16) -> Match {
    let mut best = Match::default();
    let [in_title, in_skills, in_text] = masks;
    let shown = in_title | in_skills | in_text;
    for (index, phrase) in group.phrases.iter().enumerate().filter(|(_, phrase)| shown & phrase.core != 0) {
        let fit = fit(group, phrase, masks, title_tokens);
        if fit > best.fit {
            let whole = in_title & phrase.mask == phrase.mask;
            best = Match { fit, shown: Shown::Phrase { number: first_phrase + index as u16, whole } };
        }
    }
    best
}

/// The highest possible fit of a listing whose title and skills show nothing but the sector.
pub fn text_only_bound() -> u16 {
    let coverage = f64::from(FIELD_WORTH[Field::Text as usize]) / f64::from(FIELD_WORTH[0]);
    points(in_same_sector(coverage * coverage.sqrt())) + 1
}

/// `p · coverage^1.5 · form`, adjusted by the sector of the title. IEEE 754 defines exact results for multiplication,
/// division and square root but not for a power function, hence the exponent 1.5.
fn fit(group: &Group, phrase: &Phrase, masks: Masks, title_tokens: u8) -> u16 {
    let coverage = coverage(group, phrase, masks);
    if coverage == 0.0 {
        return 0;
    }
    let worth = f64::from(phrase.worth) / 100.0;
    let shown = worth * coverage * coverage.sqrt() * form(group, phrase, masks, title_tokens);
    let title = masks[Field::Title as usize];
    points(if title & group.sector != 0 {
        in_same_sector(shown)
    } else if title & group.any_sector == 0 {
        shown
    } else if title & phrase.mask != phrase.mask {
        shown * OTHER_SECTOR_SHARE
    } else if title & phrase.joints != phrase.joints {
        shown * SCATTERED_SHARE
    } else {
        shown
    })
}

fn in_same_sector(shown: f64) -> f64 {
    shown + (1.0 - shown) * SAME_SECTOR_SHARE
}

fn points(share: f64) -> u16 {
    (share * f64::from(FULL)).round() as u16
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

/// How well the form of the listing fits, in 0..=1: how few other words the title has, whether the phrase's words are
/// neighbours in it, and how much of the phrase the skills and the text repeat.
fn form(group: &Group, phrase: &Phrase, masks: Masks, title_tokens: u8) -> f64 {
    let title = masks[Field::Title as usize];
    let purity = f64::from((title & phrase.mask).count_ones()) / f64::from(title_tokens.max(1));
    let adjacency = match phrase.joints.count_ones() {
        0 => 1.0,
        joints => f64::from((title & phrase.joints).count_ones()) / f64::from(joints),
    };
    let elsewhere = (masks[Field::Skills as usize] | masks[Field::Text as usize]) & phrase.mask;
    let support = f64::from(group.weight_of(elsewhere)) / f64::from(phrase.weight);
    1.0 - PURITY_SHARE * (1.0 - purity.min(1.0))
        - ADJACENCY_SHARE * (1.0 - adjacency)
        - SUPPORT_SHARE * (1.0 - support)
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
