//! `job-agent vocabulary`: the gaps of the vocabulary, for its editors.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
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
#[group(required = true, multiple = false)]
pub(super) struct Arguments {
    /// List the careers of the database's users that are no name of the vocabulary: how many users have each, the
    /// career, and the name that it is resolved to (- if none), separated by tabs
    #[arg(long)]
    unknown: bool,
    /// Show what the names of a file, one a line, are resolved to (- if to nothing), and to standard error how many are
    /// resolved. Needs no database
    #[arg(long, value_name = "FILE")]
    resolve: Option<PathBuf>,
}

pub(super) async fn vocabulary(config: &Config, arguments: &Arguments) -> Result {
    let vocabulary = app::vocabulary(config)?;
    if let Some(file) = &arguments.resolve {
        return resolve(&vocabulary, &fs::read_to_string(file)?);
    }
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

fn resolve(vocabulary: &Vocabulary, names: &str) -> Result {
    let names: Vec<&str> = names.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut resolved = 0;
    for name in &names {
        let nearest = vocabulary.nearest(name);
        resolved += usize::from(nearest.is_some());
        writeln!(out, "{name}\t{}", nearest.unwrap_or("-"))?;
    }
    out.flush()?;
    writeln!(std::io::stderr(), "{resolved} of {} names are resolved", names.len())?;
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
