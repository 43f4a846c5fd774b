//! Speed of the ranking at 10,000, 100,000 and 1,000,000 seeded listings, on one thread, compared with tantivy.
//!
//! `cargo bench --bench ranking` runs all sizes; `cargo bench --bench ranking -- 10000/` only the smallest.
//! Memory per listing and percentiles over users, which criterion does not report, are printed for each size.

#[path = "../support/listings.rs"]
mod listings;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use job_agent::domain::{Career, CareerProfile, CatalogueVersion, JobListing, MatchScore};
use job_agent::ranking::{Catalogue, CatalogueBuilder, Vocabulary};
use listings::Generator;
use tantivy::collector::TopDocs;
use tantivy::query::QueryParser;
use tantivy::schema::{Field, STORED, Schema, TEXT};
use tantivy::{Index, IndexReader, doc};

/// The service's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SIZES: [i64; 3] = [10_000, 100_000, 1_000_000];
/// Recommendations per user, as in production.
const LIMIT: usize = 50;
/// Results of tantivy for each career, before merging; copies and ties are dropped later.
const TANTIVY_LIMIT: usize = 500;
/// Users over whom percentiles are taken.
const USERS: usize = 500;

fn ranking(criterion: &mut Criterion) {
    for size in SIZES {
        let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
        let name = format!("{size}/");
        if wanted.is_some_and(|filter| !name.contains(&filter) && !filter.starts_with(&name)) {
            continue;
        }
        let catalogue = measure_ranking(criterion, size);
        measure_tantivy(criterion, size);
        drop(catalogue);
    }
}

fn measure_ranking(criterion: &mut Criterion, size: i64) -> Catalogue {
    let mut group = criterion.benchmark_group(format!("{size}"));
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.bench_function("build", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| build(size).1).sum());
    });
    let (catalogue, spent) = build(size);
    println!("{size}: one build {spent:?}");
    let bytes = catalogue.memory_bytes();
    println!("{size}: index {} MB, {} bytes a listing", bytes / 1_000_000, bytes / size as usize);
    let careers: Vec<_> = Generator::careers().map(one_career).collect();
    let cold: Vec<Duration> =
        careers.iter().map(|career| time(|| catalogue.recommend(career, LIMIT))).collect();
    print_percentiles(&format!("{size}: cold career"), cold);
    let users = users();
    users.iter().for_each(|user| drop(catalogue.recommend(user, LIMIT)));
    let warm = users.iter().map(|user| time(|| catalogue.recommend(user, LIMIT))).collect();
    print_percentiles(&format!("{size}: warm user of ten careers"), warm);
    let mut next = users.iter().cycle();
    group.bench_function("warm user", |bencher| {
        bencher.iter(|| next.next().map(|user| black_box(catalogue.recommend(user, LIMIT))));
    });
    let changed = changed(size);
    group.bench_function("refresh of 1 %", |bencher| {
        bencher.iter(|| black_box(catalogue.with_changes(CatalogueVersion(2), &changed, &[])));
    });
    group.finish();
    catalogue
}

/// Builds a catalogue; returns the time for building alone. The listings are made in chunks, so that their texts do not
/// have to be in memory together.
fn build(size: i64) -> (Catalogue, Duration) {
    let mut spent = Duration::ZERO;
    let vocabulary = Vocabulary::builtin();
    vocabulary.prepare();
    let mut builder = CatalogueBuilder::new(Arc::new(vocabulary));
    for_chunks(size, |chunk| {
        let start = Instant::now();
        chunk.iter().for_each(|listing| builder.push(listing));
        spent += start.elapsed();
    });
    let start = Instant::now();
    let catalogue = builder.finish(CatalogueVersion(1));
    (catalogue, spent + start.elapsed())
}

fn for_chunks(size: i64, mut take: impl FnMut(&[JobListing])) {
    let mut generator = Generator::new(1);
    let mut from = 0;
    while from < size {
        let to = size.min(from + 10_000);
        let chunk: Vec<_> = (from..to).map(|id| generator.listing(id)).collect();
        take(&chunk);
        from = to;
    }
}

fn changed(size: i64) -> Vec<JobListing> {
    let mut generator = Generator::new(2);
    (0..size / 100).map(|number| generator.listing(number * 100)).collect()
}

fn users() -> Vec<CareerProfile> {
    let mut generator = Generator::new(3);
    (0..USERS).map(|_| generator.profile()).collect()
}

fn one_career(name: &str) -> CareerProfile {
    let career = Career { name: name.to_owned(), category: None, match_score: MatchScore::FULL };
    CareerProfile { careers: vec![career], ..CareerProfile::default() }
}

/// Measures tantivy with three fields: titles count three times and skills twice as much as texts. A user is one query
/// for each career.
fn measure_tantivy(criterion: &mut Criterion, size: i64) {
    let mut group = criterion.benchmark_group(format!("{size}"));
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    let start = Instant::now();
    let (index, reader, fields) = tantivy_index(size);
    println!("{size}: tantivy build {:?} (with making the listings)", start.elapsed());
    let mut parser = QueryParser::for_index(&index, fields.to_vec());
    parser.set_field_boost(fields[0], 3.0);
    parser.set_field_boost(fields[1], 2.0);
    let search = |user: &CareerProfile| {
        for career in &user.careers {
            let (query, _) = parser.parse_query_lenient(&bigrams(&career.name));
            let best = TopDocs::with_limit(TANTIVY_LIMIT).order_by_score();
            black_box(reader.searcher().search(&query, &best).expect("an index in memory can be searched"));
        }
    };
    let users = users();
    print_percentiles(
        &format!("{size}: tantivy user"),
        users.iter().take(50).map(|user| time(|| search(user))).collect(),
    );
    let mut next = users.iter().cycle();
    group.bench_with_input(BenchmarkId::new("tantivy user", size), &size, |bencher, _| {
        bencher.iter(|| next.next().map(search));
    });
    group.finish();
}

fn tantivy_index(size: i64) -> (Index, IndexReader, [Field; 3]) {
    let mut schema = Schema::builder();
    let id = schema.add_i64_field("id", STORED);
    let fields = ["title", "skills", "text"].map(|name| schema.add_text_field(name, TEXT));
    let index = Index::create_in_ram(schema.build());
    let mut writer = index.writer_with_num_threads(1, 200_000_000).expect("one writer");
    for_chunks(size, |chunk| {
        for listing in chunk {
            let document = doc!(
                id => listing.id.0,
                fields[0] => bigrams(&listing.title),
                fields[1] => bigrams(&listing.tech_stack),
                fields[2] => bigrams(&listing.description),
            );
            writer.add_document(document).expect("a document of the schema");
        }
    });
    writer.commit().expect("a commit in memory");
    let reader = index.reader().expect("a reader");
    (index, reader, fields)
}

/// Splits Hangul into overlapping pairs, as our index does, for a tokenizer that splits at spaces.
fn bigrams(text: &str) -> String {
    let mut pairs = String::with_capacity(text.len() * 2);
    let characters: Vec<char> = text.chars().collect();
    for (at, &c) in characters.iter().enumerate() {
        let next = characters.get(at + 1).copied().unwrap_or(' ');
        pairs.push(c);
        if ('가'..='힣').contains(&c) && ('가'..='힣').contains(&next) {
            pairs.extend([next, ' ']);
        }
    }
    pairs
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

fn print_percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!("{what}: p50 {:?}, p95 {:?}, p99 {:?}, worst {:?}", at(50), at(95), at(99), at(100));
}

criterion_group!(benches, ranking);
criterion_main!(benches);
