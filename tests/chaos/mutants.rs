//! The known bugs that a build with the feature `chaos` can be told to have.

/// The mutants of these names, separated by commas, or `all` of them.
#[cfg(feature = "chaos")]
pub fn named(wanted: &str) -> Vec<String> {
    let names = job_agent::mutant::Mutant::ALL.map(job_agent::mutant::Mutant::name);
    names.into_iter().filter(|name| wanted == "all" || wanted.split(',').any(|one| one == name)).collect()
}

/// None in a build without the feature.
#[cfg(not(feature = "chaos"))]
pub fn named(_: &str) -> Vec<String> {
    Vec::new()
}
