//! Mutants: builds of job-agent that have one known bug each, to show that the campaign would catch it.
//!
//! A bug is a patch in `tests/chaos/mutants`; `scripts/chaos --mutant` applies it to a copy of the tree and builds
//! that. The head of a patch describes the bug, names the invariants that must catch it, and gives its name in the
//! model of the protocol (`tests/model`).

use std::path::{Path, PathBuf};

use super::checker::Invariant;

#[derive(Clone, Debug)]
pub struct Mutant {
    /// The patch's file name without its extension.
    pub name: String,
    /// The mutant counts as caught once one of these is violated.
    pub caught_by: Vec<Invariant>,
    pub binary: PathBuf,
}

/// The mutants that `scripts/chaos` has built for this campaign.
pub fn built() -> Vec<Mutant> {
    let Ok(names) = std::env::var("CHAOS_MUTANTS") else { return Vec::new() };
    let binaries = PathBuf::from(std::env::var_os("CHAOS_MUTANT_FOLDER").expect("scripts/chaos sets both"));
    let mutant = |name: &str| Mutant {
        name: name.to_owned(),
        caught_by: caught_by(&std::fs::read_to_string(folder().join(format!("{name}.patch"))).unwrap()),
        binary: binaries.join(name),
    };
    names.split_whitespace().map(mutant).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/mutants")
}

/// The invariants that the head of a patch names.
fn caught_by(patch: &str) -> Vec<Invariant> {
    let names = patch.lines().find_map(|line| line.strip_prefix("Caught by: "));
    let names = names.expect("the head of a patch says what must catch the bug");
    names.split(", ").map(|name| Invariant::named(name).unwrap_or_else(|| panic!("{name}?"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lists_every_patch_with_the_invariants_that_must_catch_it() {
        let document = include_str!("../../docs/guarantees.md");
        for entry in std::fs::read_dir(folder()).unwrap() {
            let path = entry.unwrap().path();
            let row = format!("| `{}` |", path.file_stem().unwrap().to_str().unwrap());
            let row =
                document.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no {row}"));
            let documented = row.trim_end_matches(" |").rsplit_once("| ").unwrap().1;
            let patch = std::fs::read_to_string(&path).unwrap();
            assert!(patch.contains(&format!("\nCaught by: {documented}\n")), "{row}");
        }
    }

    #[test]
    fn every_patch_says_its_bug_in_a_sentence_and_what_must_catch_it() {
        let patches: Vec<_> =
            std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!patches.is_empty());
        for path in patches {
            let patch = std::fs::read_to_string(&path).unwrap();
            let (head, diff) = patch.split_once("\n---\n").unwrap_or_else(|| panic!("{path:?} has no head"));
            let (bug, _) = head.split_once("\n\n").unwrap_or_else(|| panic!("{path:?} does not say its bug"));
            assert!(bug.ends_with('.') && !bug.contains(". "), "{path:?}: {bug}");
            assert!(!caught_by(head).is_empty(), "{path:?}");
            let changed = diff.lines().filter(|line| line.starts_with(['+', '-'])).count() - 2;
            assert!(changed <= 15, "{path:?} changes {changed} lines: is that one bug?");
        }
    }
}
