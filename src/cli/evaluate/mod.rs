//! `job-agent evaluate`

mod measure;
mod users;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::measure::{Corpus, Grades, read_queries, summarise, write_run};
use self::users::{ListMetrics, bands, means, read_users, write_explained, write_list};
use super::Result;
use crate::app;
use crate::config::Config;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Listings, one JSON object a line: id, title, company, description, tech_stack, required_skills and more
    #[arg(long)]
    corpus: PathBuf,
    /// Queries, one JSON object a line: qid, career, category, skills, match_score, granularity
    #[arg(long, required_unless_present = "users")]
    queries: Option<PathBuf>,
    /// Users instead of queries, one JSON object a line: uid, careers, interest_areas, strengths, interests, goals,
    /// summary, as other services store them. Their lists are those that production would store
    #[arg(long, conflicts_with_all = ["queries", "pools", "career_only"])]
    users: Option<PathBuf>,
    /// For users: write the lists with grades and reasons instead of the run
    #[arg(long, requires = "users")]
    explain: bool,
    /// Grades: qid or uid, id and grade, separated by tabs
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
    match (&arguments.queries, &arguments.users) {
        (Some(queries), _) => evaluate_queries(arguments, queries, &corpus, grades.as_ref(), &mut run)?,
        (None, Some(users)) => {
            let limit = config.max_recommendations;
            evaluate_users(arguments, users, limit, &corpus, grades.as_ref(), &mut run)?;
        }
        (None, None) => {}
    }
    run.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn evaluate_queries(
    arguments: &Arguments,
    queries: &Path,
    corpus: &Corpus,
    grades: Option<&Grades>,
    run: &mut impl Write,
) -> Result<()> {
    let mut measured = Vec::new();
    let mut queries = read_queries(open(queries)?)?;
    for query in &mut queries {
        if arguments.career_only {
            query.skills.clear();
        }
        let ranked = corpus.rank(query);
        write_run(&mut *run, &query.qid, &ranked)?;
        if let Some(grades) = grades {
            measured.push((query.granularity.as_deref(), grades.measure(&query.qid, &ranked)));
        }
    }
    let mut report = std::io::stderr().lock();
    if !measured.is_empty() {
        writeln!(report, "{:8} {:>5} {:>8} {:>8} {:>8}", "", "n", "nDCG@10", "MRR", "P@5")?;
    }
    for (group, n, metrics) in summarise(&measured) {
        let (ndcg, rank, precision) = (metrics.ndcg, metrics.reciprocal_rank, metrics.precision);
        writeln!(report, "{group:8} {n:>5} {ndcg:>8.4} {rank:>8.4} {precision:>8.4}")?;
    }
    Ok(())
}

fn evaluate_users(
    arguments: &Arguments,
    users: &Path,
    limit: usize,
    corpus: &Corpus,
    grades: Option<&Grades>,
    run: &mut impl Write,
) -> Result<()> {
    let mut measured = Vec::new();
    for user in read_users(open(users)?)? {
        let list = corpus.recommend(&user.inputs().profile, limit);
        if arguments.explain {
            write_explained(&mut *run, corpus, &user, &list, grades)?;
        } else {
            write_list(&mut *run, corpus, &user, &list)?;
        }
        if let Some(grades) = grades {
            let rows: Vec<_> =
                list.iter().map(|row| (corpus.id(row.listing_id), row.score.points())).collect();
            measured.push(ListMetrics::new(&user.uid, &rows, grades));
        }
    }
    if measured.is_empty() {
        return Ok(());
    }
    let mut report = std::io::stderr().lock();
    let figures: Vec<_> = means(&measured).iter().map(|(name, mean)| format!("{name} {mean:.4}")).collect();
    writeln!(report, "{} users: {}", measured.len(), figures.join("  "))?;
    for (band, [wrong, near, right]) in bands(&measured) {
        let share = |rows: usize| rows as f64 / (wrong + near + right) as f64;
        let (is_right, is_near) = (share(right), share(right + near));
        writeln!(
            report,
            "score {band:2}s: right {right} near {near} wrong {wrong}  share right {is_right:.4}, at least near {is_near:.4}"
        )?;
    }
    Ok(())
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
