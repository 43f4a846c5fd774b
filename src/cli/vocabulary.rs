//! `job-agent vocabulary`: the gaps of the vocabulary, for its editors.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::Args;

use super::Result;
use crate::app;
use crate::config::Config;
use crate::profile::Inputs;
use crate::ranking::Vocabulary;
use crate::storage::Store;

/// Users read at once.
const PAGE: u32 = 200;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// List the careers of the database's users that are no name of the vocabulary: how many users have each, the
    /// career, and the name that it is resolved to (- if none), separated by tabs
    #[arg(long, required = true)]
    unknown: bool,
}

pub(super) async fn vocabulary(config: &Config, _: &Arguments) -> Result {
    let vocabulary = app::vocabulary(config)?;
    let store = app::open_store(config).await?;
    let unknown = unknown_careers(store.as_ref(), &vocabulary).await?;
    store.close().await;
    let mut lines: Vec<(String, usize)> = unknown.into_iter().collect();
    lines.sort_by_key(|(_, users)| Reverse(*users));
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (career, users) in lines {
        writeln!(out, "{users}\t{career}\t{}", vocabulary.nearest(&career).unwrap_or("-"))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The careers that are no name of the vocabulary, and how many users have each.
async fn unknown_careers(store: &dyn Store, vocabulary: &Vocabulary) -> Result<BTreeMap<String, usize>> {
    let mut unknown = BTreeMap::new();
    let mut after = 0;
    loop {
        let users = store.users_after(after, PAGE).await?;
        let Some(last) = users.last() else { return Ok(unknown) };
        after = last.get();
        for user in users {
            let careers = Inputs::parse(&store.snapshot(user).await?.analysis).profile.careers;
            for career in careers.into_iter().filter(|career| !vocabulary.knows(&career.name)) {
                *unknown.entry(career.name).or_default() += 1;
            }
        }
    }
}
