//! Doubtful entries of a vocabulary file.

use std::collections::{BTreeMap, BTreeSet};

use super::file::File;
use super::homonym::context_token;
use crate::ranking::text::{Lexeme, compact, lexemes, normalise};

/// All findings: phrases in the order of the file, then names of several careers, then `[[shared]]`.
pub fn findings(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    let mut owners: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
    let phrases = file.careers().flat_map(|entry| entry.phrases().map(move |phrase| (entry.name, phrase)));
    for (career, phrase) in phrases {
        if compact(phrase).is_empty() {
            findings.push(format!("{career}: an empty phrase"));
            continue;
        }
        if !names_a_job(file, phrase) {
            findings.push(format!(
                "{career}: '{phrase}' is a domain word: it has no job noun and is no known title"
            ));
        }
        owners.entry(compact(phrase)).or_default().push((career, phrase));
    }
    for ((_, phrase), careers) in owners.values().filter_map(|owners| Some((*owners.first()?, owners))) {
        findings.extend(ownership(file, phrase, careers));
    }
    findings.extend(shared_findings(file, &owners));
    findings.extend(link_findings(file, &owners));
    findings.extend(broad_findings(file));
    findings.extend(homonym_findings(file));
    findings
}

/// Whether a phrase contains a job noun or a known title.
fn names_a_job(file: &File, phrase: &str) -> bool {
    let spelled = compact(phrase);
    let has_noun = file.job_nouns.iter().any(|noun| spelled.contains(&compact(noun)));
    let phrase = normalise(phrase);
    has_noun || file.known_titles.iter().any(|title| contains_words(&phrase, &normalise(title)))
}

/// Whether a phrase contains a title: a Latin one as whole words (`MD` is not in `cmd`), a Korean one also as part
/// of a compound.
fn contains_words(phrase: &str, title: &str) -> bool {
    let title_words: Vec<_> = lexemes(title).collect();
    let phrase_words: Vec<_> = lexemes(phrase).collect();
    match title_words.as_slice() {
        [] => false,
        [Lexeme::Hangul(word)] => phrase_words.iter().any(|part| part.as_str().contains(word)),
        words => phrase_words.windows(words.len()).any(|window| window == words),
    }
}

/// A finding if several careers, or one career twice, have the phrase.
fn ownership(file: &File, phrase: &str, owners: &[(&str, &str)]) -> Option<String> {
    let [(first, _), .., (last, _)] = owners else { return None };
    let spelled = compact(phrase);
    if owners.iter().all(|(career, _)| career == first) {
        return Some(format!("{first}: '{phrase}' is listed twice"));
    }
    let is_shared = file.shared.iter().any(|shared| compact(&shared.phrase) == spelled);
    (!is_shared).then(|| {
        format!(
            "'{phrase}' is a name of '{first}' and of '{last}': keep one, or list it in [[shared]] with a reason"
        )
    })
}

/// Links to careers and names that the file does not have.
fn link_findings(file: &File, owners: &BTreeMap<String, Vec<(&str, &str)>>) -> Vec<String> {
    let careers: BTreeSet<&str> = file.careers().map(|entry| entry.name).collect();
    let unknown = |name: &String| !careers.contains(name.as_str());
    let families = file.families.iter().flatten().filter(|name| unknown(name));
    let mut findings: Vec<String> = families.map(|name| format!("families: '{name}' is no career")).collect();
    for (career, names) in &file.near {
        if unknown(career) {
            findings.push(format!("near: '{career}' is no career"));
        }
        for name in names {
            let owner = owners.get(&compact(name)).and_then(|owners| owners.first());
            if owner.is_none_or(|(owner, _)| owner == career) {
                findings.push(format!("near: '{name}' of '{career}' is not a name of another career"));
            }
        }
    }
    findings
}

/// Broad names that their careers do not have.
fn broad_findings(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    for (career, names) in &file.broad {
        let entry = file.careers().find(|entry| entry.name == career);
        let is_other_name = |name: &String| entry.is_some_and(|entry| entry.others.contains(name));
        for name in names.iter().filter(|name| !is_other_name(name)) {
            findings.push(format!("broad: '{name}' is no other name of '{career}'"));
        }
    }
    findings
}

/// Homonyms of sectors that the file does not have, and words that no listing is searched for.
fn homonym_findings(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    for homonym in &file.homonyms {
        for sector in homonym.sectors.iter().filter(|sector| !file.sectors.contains_key(*sector)) {
            findings.push(format!("[[homonyms]] '{}': '{sector}' is no field", homonym.words.join(", ")));
        }
        let words = homonym.own.iter().chain(&homonym.other);
        for word in words.filter(|word| context_token(&normalise(word)).is_none()) {
            findings.push(format!(
                "[[homonyms]] '{}': '{word}' has neither two syllables nor Latin letters",
                homonym.words.join(", ")
            ));
        }
    }
    findings
}

fn shared_findings(file: &File, owners: &BTreeMap<String, Vec<(&str, &str)>>) -> Vec<String> {
    let mut findings = Vec::new();
    for shared in &file.shared {
        if shared.reason.trim().is_empty() {
            findings.push(format!("[[shared]] '{}' gives no reason", shared.phrase));
        }
        if owners.get(&compact(&shared.phrase)).is_none_or(|owners| owners.len() < 2) {
            findings.push(format!("[[shared]] '{}' is not a name of two careers", shared.phrase));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::ranking::Vocabulary;

    fn lint(body: &str) -> Vec<String> {
        let head = "revision = 1\njob_nouns = [\"관리자\", \"개발자\"]\nknown_titles = [\"MD\", \"기자\"]\n";
        Vocabulary::lint(&format!("{head}{body}")).unwrap()
    }

    #[test]
    fn a_clean_table_has_no_findings() {
        let body = "[fields.a]\n\"물류 관리자\" = [\"물류관리자 (SCM)\"]\n\"패션 MD\" = []\n\"기자\" = [\"방송기자\"]";
        assert_eq!(lint(body), Vec::<String>::new());
    }

    #[test]
    fn a_domain_word_is_a_finding() {
        let found = lint("[fields.a]\n\"물류 관리자\" = [\"풀필먼트\", \"CMD\"]");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("풀필먼트"));
    }

    #[test]
    fn a_phrase_under_two_careers_needs_a_reason() {
        let fields = "[fields.a]\n\"앱 개발자\" = [\"모바일 개발자\"]\n\"웹 개발자\" = [\"모바일개발자\"]";
        assert_eq!(lint(fields).len(), 1);
        let shared = "[[shared]]\nphrase = \"모바일 개발자\"\nreason = \"used for both\"\n";
        assert_eq!(lint(&format!("{shared}{fields}")), Vec::<String>::new());
        let idle = "[[shared]]\nphrase = \"앱 개발자\"\nreason = \" \"\n";
        assert_eq!(lint(&format!("{idle}{fields}")).len(), 3);
    }

    #[test]
    fn links_lead_to_names_of_other_careers() {
        let fields = "[fields.a]\n\"앱 개발자\" = [\"모바일 개발자\"]\n\"웹 개발자\" = []\n";
        let families = "families = [[\"앱 개발자\", \"웹 개발자\"]]\n";
        let near = "[near]\n\"웹 개발자\" = [\"모바일 개발자\"]\n";
        assert_eq!(lint(&format!("{families}{fields}{near}")), Vec::<String>::new());
        let strange = "[near]\n\"앱 개발자\" = [\"모바일 개발자\"]\n\"기자\" = [\"배우\"]\n";
        assert_eq!(lint(&format!("families = [[\"모바일 개발자\"]]\n{fields}{strange}")).len(), 4);
    }

    #[test]
    fn a_broad_name_is_one_of_its_career() {
        let fields = "[fields.a]\n\"앱 개발자\" = [\"앱 기자\"]\n";
        let broad = "[broad]\n\"앱 개발자\" = [\"앱 기자\"]\n";
        assert_eq!(lint(&format!("{broad}{fields}")), Vec::<String>::new());
        let strange = "[broad]\n\"앱 개발자\" = [\"앱 개발자\"]\n\"기자\" = [\"앱 기자\"]\n";
        assert_eq!(lint(&format!("{strange}{fields}")).len(), 2);
    }

    #[test]
    fn homonyms_are_of_known_fields_and_their_words_are_searchable() {
        let fields = "[fields.a]\n\"앱 개발자\" = []\n";
        let homonym = |field: &str, word: &str| {
            let head = format!("[[homonyms]]\nwords = [\"앱\"]\nfields = [\"{field}\"]\n");
            format!("{head}own = [\"{word}\"]\nother = [\"ios\"]\n{fields}")
        };
        assert_eq!(lint(&homonym("a", "화면")), Vec::<String>::new());
        assert_eq!(lint(&homonym("b", "화")).len(), 2);
    }

    #[test]
    fn one_career_lists_a_phrase_once() {
        assert_eq!(lint("[fields.a]\n\"앱 개발자\" = [\"앱개발자\"]").len(), 1);
    }
}
