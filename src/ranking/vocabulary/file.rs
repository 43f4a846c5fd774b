//! The vocabulary file as operators write it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A vocabulary file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Raised with every edit.
    pub revision: u32,
    /// Words of which one must be in every phrase (`개발자`, `Engineer`).
    pub job_nouns: Vec<String>,
    /// Titles without a job noun.
    pub known_titles: Vec<String>,
    /// Phrases that several careers may have.
    #[serde(default)]
    pub shared: Vec<Shared>,
    /// Careers whose postings suit each other.
    #[serde(default)]
    pub families: Vec<Vec<String>>,
    /// Career → those of its names that have other meanings as well, and count less.
    #[serde(default)]
    pub broad: BTreeMap<String, Vec<String>>,
    /// Career → names of other careers whose postings suit it too.
    #[serde(default)]
    pub near: BTreeMap<String, Vec<String>>,
    /// Words that mean something else in other sectors.
    #[serde(default)]
    pub homonyms: Vec<Homonym>,
    /// Sector → career → its other names.
    #[serde(rename = "fields")]
    pub sectors: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// A phrase that several careers may have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// The phrase.
    pub phrase: String,
    /// Why more than one career has it.
    pub reason: String,
}

/// Words that mean something else in other sectors (`QA` of software and of goods).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Homonym {
    /// How a word of a name begins; of Latin letters, the whole word.
    pub words: Vec<String>,
    /// The sectors of the careers that are meant.
    #[serde(rename = "fields")]
    pub sectors: Vec<String>,
    /// Words of listings that mean these careers, each of two syllables or of Latin letters.
    pub own: Vec<String>,
    /// Words of listings that mean something else.
    pub other: Vec<String>,
}

impl File {
    /// Every career with its sector, in the order of the file.
    pub fn careers(&self) -> impl Iterator<Item = FileEntry<'_>> {
        self.sectors.iter().flat_map(|(sector, careers)| {
            careers.iter().map(move |(name, others)| FileEntry { sector, name, others })
        })
    }
}

/// A career as the file has it.
#[derive(Clone, Copy)]
pub struct FileEntry<'f> {
    /// The sector that the career is listed under.
    pub sector: &'f str,
    /// Its own name.
    pub name: &'f str,
    /// Its other names.
    pub others: &'f [String],
}

impl<'f> FileEntry<'f> {
    /// All names, its own first.
    pub fn phrases(self) -> impl Iterator<Item = &'f str> {
        std::iter::once(self.name).chain(self.others.iter().map(String::as_str))
    }
}
