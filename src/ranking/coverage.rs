//! The title component: how much of a career's phrase a listing shows, where, and in which form.

use super::plan::{Group, Phrase};
use super::score::FULL;
use super::segment::{FIELDS, Field};

/// Of a phrase's token found in a field, in 1/100.
const FIELD_WORTH: [u32; FIELDS] = [100, 75, 50];

/// Share of the title component that depends on how little else stands in the title.
const PURITY_SHARE: f64 = 0.10;

/// Share of the title component that depends on whether the phrase's words stand side by side.
const ADJACENCY_SHARE: f64 = 0.12;

/// What a role in the title is worth, in 1/100, when the title shows nothing of the subject.
const ROLE_ALONE: u32 = 80;

/// Share of the title component that depends on how much of the phrase the rest of the listing confirms.
const SUPPORT_SHARE: f64 = 0.14;

/// Which tokens of a group a listing has, one mask per field.
pub type Masks = [u64; FIELDS];

/// What a listing shows of its best phrase.
#[derive(Clone, Copy, Debug, Default)]
pub struct Match {
    /// The title component.
    pub title: u16,
    /// Number of the phrase in the plan.
    pub phrase: u16,
    /// Whether the title shows the whole phrase.
    pub whole: bool,
}

/// The first phrase with the highest title component; numbers are counted from `first_phrase`.
pub fn best_phrase(group: &Group, masks: Masks, title_tokens: u8, first_phrase: u16) -> Match {
    let mut best = Match::default();
    for (index, phrase) in group.phrases.iter().enumerate() {
        let title = title_component(group, phrase, masks, title_tokens);
        if title > best.title {
            let whole = masks[Field::Title as usize] & phrase.mask == phrase.mask;
            best = Match { title, phrase: first_phrase + index as u16, whole };
        }
    }
    best
}

/// The most that a listing reaches whose title and skills show nothing.
pub fn text_only_bound() -> u16 {
    let coverage = f64::from(FIELD_WORTH[Field::Text as usize]) / f64::from(FIELD_WORTH[0]);
    (coverage * coverage.sqrt() * f64::from(FULL)).ceil() as u16
}

/// `p · coverage^1.5 · form`. Multiplication, division and square root are exact by IEEE 754, a library's `powf`
/// is not: that is why the exponent is 1.5.
fn title_component(group: &Group, phrase: &Phrase, masks: Masks, title_tokens: u8) -> u16 {
    let coverage = coverage(group, phrase, masks);
    if coverage == 0.0 {
        return 0;
    }
    let share = coverage * coverage.sqrt() * form(group, phrase, masks, title_tokens);
    let worth = f64::from(phrase.worth) / 100.0;
    (worth * share * f64::from(FULL)).round() as u16
}

/// The weighted share of the phrase that the listing shows. A role counts in full only beside a part of the
/// subject: an electrical engineer whose text mentions quality is no quality engineer.
fn coverage(group: &Group, phrase: &Phrase, masks: Masks) -> f64 {
    let [title, skills, text] = split_masks(phrase, masks);
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

/// The tokens of one phrase, each in its best field only.
fn split_masks(phrase: &Phrase, masks: Masks) -> Masks {
    let title = masks[Field::Title as usize] & phrase.mask;
    let skills = masks[Field::Skills as usize] & phrase.mask & !title;
    let text = masks[Field::Text as usize] & phrase.mask & !title & !skills;
    [title, skills, text]
}
