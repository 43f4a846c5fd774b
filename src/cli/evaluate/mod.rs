//! `job-agent evaluate`

mod measure;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::measure::{Corpus, Grades, read_queries, summarise, write_run};
use super::Result;
use crate::app;
use crate::config::Config;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Listings, one JSON object a line: id, title, company, description, tech_stack, required_skills and more
    #[arg(long)]
    corpus: PathBuf,
    /// Queries, one JSON object a line: qid, career, category, skills, match_score, granularity
    #[arg(long)]
    queries: PathBuf,
    /// Grades: qid, id and grade, separated by tabs
    #[arg(long)]
    qrels: Option<PathBuf>,
    /// The source of each listing: id and pool, separated by tabs
    #[arg(long, requires_all = ["qrels", "judged_pools"])]
    pools: Option<PathBuf>,
    /// Pools that are judged for each query, a JSON object; other listings are dropped before measuring
    #[arg(long, requires = "pools")]
    judged_pools: Option<PathBuf>,
    /// Rank by the career alone, as for a user whose skills are unknown
    #[arg(long)]
    career_only: bool,
}

pub(super) fn evaluate(config: &Config, arguments: &Arguments) -> Result {
    let corpus = Corpus::read(open(&arguments.corpus)?, app::vocabulary(config)?)?;
    let grades = grades(arguments)?;
    let mut run = BufWriter::new(std::io::stdout().lock());
    let mut measured = Vec::new();
    let mut queries = read_queries(open(&arguments.queries)?)?;
    for query in &mut queries {
        if arguments.career_only {
            query.skills.clear();
        }
        let ranked = corpus.rank(query);
        write_run(&mut run, &query.qid, &ranked)?;
        if let Some(grades) = &grades {
            measured.push((query.granularity.as_deref(), grades.measure(&query.qid, &ranked)));
        }
    }
    run.flush()?;
    let mut report = std::io::stderr().lock();
    if !measured.is_empty() {
        writeln!(report, "{:8} {:>5} {:>8} {:>8} {:>8}", "", "n", "nDCG@10", "MRR", "P@5")?;
    }
    for (group, n, metrics) in summarise(&measured) {
        let (ndcg, rank, precision) = (metrics.ndcg, metrics.reciprocal_rank, metrics.precision);
        writeln!(report, "{group:8} {n:>5} {ndcg:>8.4} {rank:>8.4} {precision:>8.4}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn grades(arguments: &Arguments) -> Result<Option<Grades>> {
    let Some(qrels) = &arguments.qrels else { return Ok(None) };
    let grades = Grades::read(open(qrels)?)?;
    Ok(Some(match (&arguments.pools, &arguments.judged_pools) {
        (Some(pools), Some(judged)) => grades.with_pools(open(pools)?, open(judged)?)?,
        _ => grades,
    }))
}

fn open(path: &Path) -> Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path).map_err(|error| format!("{}: {error}", path.display()))?))
}
