//! The fit: how much of a career's phrase a listing shows, where, and in which form.

use crate::ranking::career::plan::{Group, Phrase};
use crate::ranking::index::segment::{FIELDS, Field};
use crate::ranking::score::FULL;

/// Of a phrase's token found in a field, in 1/100.
const FIELD_WORTH: [u32; FIELDS] = [100, 65, 50];

/// Share of the fit that depends on how little else stands in the title.
const PURITY_SHARE: f64 = 0.12;

/// Share of the fit that depends on whether the phrase's words stand side by side.
const ADJACENCY_SHARE: f64 = 0.12;

/// What a role in the title is worth, in 1/100, when the title shows nothing of the subject.
const ROLE_ALONE: u32 = 80;

/// Share of the fit that depends on how much of the phrase the rest of the listing confirms.
const SUPPORT_SHARE: f64 = 0.16;

/// Of what is missing, the share that a title makes good by naming a job of the career's sector.
const SAME_SECTOR_SHARE: f64 = 0.15;

/// What a title's word of the career's sector is worth, where nothing else shows the career.
const SECTOR_WORD_SHARE: f64 = 0.10;

/// What is left of a whole phrase whose words are scattered over a title that names jobs of other sectors only: a
/// 물류 기술영업 담당자 is no 물류 담당자.
const SCATTERED_SHARE: f64 = 0.70;

/// What is left of a partial match there.
const OTHER_SECTOR_SHARE: f64 = 0.85;

/// Which tokens of a group a listing has, one mask per field.
pub type Masks = [u64; FIELDS];

/// The best that a listing shows of a career. Of two phrases with the same fit, the smaller counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// A phrase of the plan.
    Phrase {
        /// Its number, counted over all groups of the plan.
        number: u16,
        /// Whether the title shows the whole phrase.
        whole: bool,
    },
    /// No phrase, but the title names a job of the career's sector.
    SectorJob,
    /// No phrase, but the title has a word of the career's sector.
    SectorWord,
    /// Neither.
    #[default]
    Nothing,
}

/// A listing's fit to a career and the evidence for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Match {
    /// 0 to [`FULL`].
    pub fit: u16,
    pub shown: Shown,
}

impl Match {
    /// Of a title that names a job of the career's sector; nothing in the listing shows the career itself.
    pub fn sector_job() -> Self {
        Self { fit: points(SAME_SECTOR_SHARE), shown: Shown::SectorJob }
    }

    /// Of a title that has a word of the career's sector and names no job of it.
    pub fn sector_word() -> Self {
        Self { fit: points(SECTOR_WORD_SHARE), shown: Shown::SectorWord }
    }
}

/// The first phrase with the highest fit; numbers are counted from `first_phrase`.
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

/// The most that a listing reaches whose title and skills show nothing but the sector.
pub fn text_only_bound() -> u16 {
    let coverage = f64::from(FIELD_WORTH[Field::Text as usize]) / f64::from(FIELD_WORTH[0]);
    points(in_same_sector(coverage * coverage.sqrt())) + 1
}

/// `p · coverage^1.5 · form`, and what the title's sector adds or takes. Multiplication, division and square
/// root are exact by IEEE 754, a library's `powf` is not: that is why the exponent is 1.5.
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

/// The weighted share of the phrase that the listing shows. A role counts in full only beside a part of the
/// subject: an electrical engineer whose text mentions quality is no quality engineer.
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

/// How well the listing's form fits, in 0..=1: how little else stands in the title, whether the phrase's words
/// stand side by side there, and how much of the phrase the rest of the listing confirms.
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

/// The tokens of one phrase, each in its best field only. Outside the title a single word is a homonym more often
/// than the job (`chef` in a list of tools): there it counts only in a text below a title of the same sector.
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
