//! Writes seeded job listings for `job-agent import`, to measure with:
//!
//! ```sh
//! cargo run --release --example generate_listings -- 100000 > listings.jsonl
//! job-agent import listings.jsonl --site-name generated
//! ```

use std::io::{BufWriter, Write};

use job_agent::domain::JobListing;
use serde_json::json;

#[path = "../benches/support/listings.rs"]
#[expect(dead_code, reason = "users are for the benches")]
mod listings;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().nth(1).ok_or("usage: generate_listings COUNT")?.parse()?;
    let mut generator = listings::Generator::new(1);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for id in 1..=count {
        let JobListing {
            title,
            company,
            description,
            experience,
            tech_stack,
            required_skills,
            crawled_at,
            ..
        } = generator.listing(id);
        let line = json!({
            "job_id": id, "title": title, "company": company, "description": description,
            "experience": experience, "tech_stack": tech_stack, "required_skills": required_skills,
            "crawled_at": crawled_at,
        });
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(())
}
