//! `job-agent import`

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use super::Result;
use crate::app;
use crate::config::Config;
use crate::listings::encoding::TextEncoding;
use crate::listings::file;
use crate::storage::{ListingRecord, ListingStore, StoreError, StoreErrorKind};

pub(super) async fn import(config: &Config, path: &Path, site_name: Option<&str>) -> Result {
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(unreadable)?;
    let encoding = TextEncoding::detect(&file).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if encoding != TextEncoding::Utf8 {
        tracing::info!(file = %path.display(), %encoding, "decoding the file");
    }
    let store = app::open_store(config).await?;
    let progress = ProgressBar::new(file.metadata()?.len()).with_style(ProgressStyle::with_template(
        "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}",
    )?);
    let mut chunk = Chunk { store: &*store, lines: Vec::new(), imported: 0, skipped: 0 };
    for (line, record) in file::read_file(path, progress.wrap_read(file), encoding, site_name) {
        match record {
            Ok(record) => chunk.push(line, record).await?,
            Err(error) => chunk.skip(line, &error),
        }
    }
    chunk.flush().await?;
    progress.finish_and_clear();
    let (imported, skipped) = (chunk.imported, chunk.skipped);
    store.close().await;
    writeln!(std::io::stdout(), "{imported} listings imported, {skipped} lines skipped")?;
    Ok(if skipped == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Listings that are read and not yet stored.
struct Chunk<'a> {
    store: &'a dyn ListingStore,
    lines: Vec<(u64, ListingRecord)>,
    imported: usize,
    skipped: usize,
}

impl Chunk<'_> {
    async fn push(&mut self, line: u64, record: ListingRecord) -> std::result::Result<(), StoreError> {
        self.lines.push((line, record));
        if self.lines.len() < file::CHUNK_SIZE { Ok(()) } else { self.flush().await }
    }

    /// Stores all in one transaction; if the database refuses it, stores each listing alone to find the bad one.
    async fn flush(&mut self) -> std::result::Result<(), StoreError> {
        let lines = std::mem::take(&mut self.lines);
        let records: Vec<_> = lines.iter().map(|(_, record)| record.clone()).collect();
        match self.store.import_listings(&records).await {
            Ok(()) => self.imported += records.len(),
            Err(error) if error.kind() == StoreErrorKind::Refused => {
                for (line, record) in lines {
                    match self.store.import_listings(&[record]).await {
                        Ok(()) => self.imported += 1,
                        Err(error) if error.kind() == StoreErrorKind::Refused => self.skip(line, &error),
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn skip(&mut self, line: u64, error: &dyn std::error::Error) {
        tracing::warn!(line, %error, "line skipped");
        self.skipped += 1;
    }
}
