//! Schedules of the nightly batch and the clean-up: each occurrence begins once, whatever the number of
//! instances.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use tokio_util::sync::CancellationToken;

use crate::coordination::Wakeups;
use crate::domain::Lane;
use crate::storage::{
    self, BatchStore, ListingJob, Occurrence, STEP_LIMIT, ScheduledJob, StoreError, UnseenListings,
};

/// How often instances look for changed listings.
const LISTINGS_POLL: Duration = Duration::from_secs(5);
/// A second pass begins this long after the first change at the latest, however many follow.
const LONGEST_UNREST: Duration = Duration::from_secs(3_600);
/// The longest sleep between two readings of the clock, which an operator may set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// The shortest sleep between two readings, when an occurrence is close.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);
/// Time limit of one step of a clean-up, which waits for the locks of many users.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(60);

/// A cron expression and its time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
}

/// Not a valid five-field cron expression, or one that never fires.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a cron expression of five fields")]
pub struct InvalidSchedule;

impl Schedule {
    /// `expression` has five fields: minute, hour, day of month, month, day of week.
    pub fn new(expression: &str, zone: Tz) -> Result<Self, InvalidSchedule> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let cron = parser.parse(expression).map_err(|_| InvalidSchedule)?;
        let schedule = Self { cron, zone };
        schedule.next(DateTime::UNIX_EPOCH).map(|_| schedule).ok_or(InvalidSchedule)
    }

    /// The latest occurrence that is not after `now`.
    pub fn latest(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = now.with_timezone(&self.zone);
        self.cron.find_previous_occurrence(&local, true).ok().map(|time| time.to_utc())
    }

    /// The first occurrence after `now`.
    pub fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = now.with_timezone(&self.zone);
        self.cron.find_next_occurrence(&local, false).ok().map(|time| time.to_utc())
    }
}

/// Settings of the scheduler.
#[derive(Clone, Debug)]
pub struct SchedulerConfig {
    /// Whether this instance begins scheduled jobs.
    pub enabled: bool,
    /// When the batch of active users begins.
    pub batch: Schedule,
    /// When the clean-up begins.
    pub clean_up: Schedule,
    /// How long no listing may have changed before a second pass begins.
    pub quiet: Duration,
    /// The clean-up removes lists that no run has found current for this long; `None`: it keeps them all.
    pub retention: Option<TimeDelta>,
}

/// The changes of listings as one instance sees them: a crawler that is at work makes one after the other.
#[derive(Debug, Default)]
struct Unrest(Option<Changing>);

#[derive(Debug)]
struct Changing {
    since: Instant,
    changed: Instant,
    through: i64,
}

impl Unrest {
    /// Whether many listings have changed and none for the time `quiet`, or some have for too long.
    fn is_over(&mut self, unseen: UnseenListings, now: Instant, quiet: Duration) -> bool {
        if !unseen.are_many() {
            self.0 = None;
            return false;
        }
        let changing = self.0.get_or_insert(Changing { since: now, changed: now, through: unseen.through });
        if changing.through != unseen.through {
            (changing.changed, changing.through) = (now, unseen.through);
        }
        now - changing.changed >= quiet || now - changing.since >= LONGEST_UNREST
    }
}

/// Parses an IANA time zone.
pub fn time_zone(name: &str) -> Option<Tz> {
    Tz::from_str(name).ok()
}

/// Begins the scheduled jobs.
#[derive(Clone)]
pub struct Scheduler {
    store: Arc<dyn BatchStore>,
    wakeups: Arc<Wakeups>,
    config: SchedulerConfig,
}

impl Scheduler {
    /// A scheduler over the occurrences that all instances record in `store`.
    pub fn new(store: Arc<dyn BatchStore>, wakeups: Arc<Wakeups>, config: SchedulerConfig) -> Self {
        Self { store, wakeups, config }
    }

    /// The settings.
    pub fn config(&self) -> &SchedulerConfig {
        &self.config
    }

    /// Begins jobs when they are due by the database's clock, which all instances share, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        if !self.config.enabled {
            return stop.cancelled().await;
        }
        tokio::join!(self.follow_clock(&stop), self.follow_listings(&stop));
    }

    async fn follow_clock(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let sleep = match storage::within(STEP_LIMIT, self.store.now()).await {
                Ok(now) => {
                    if let Err(error) = self.begin_due(now, stop).await {
                        tracing::warn!(%error, "a scheduled job could not be begun");
                    }
                    self.until_next(now)
                }
                Err(error) => {
                    tracing::warn!(%error, "the database clock cannot be read");
                    LONGEST_SLEEP
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(sleep)).await;
        }
    }

    /// Begins the jobs that are due at `now` and that no instance has begun. After downtime only the latest
    /// occurrence of a job counts; a clock that is set back repeats none.
    pub async fn tick(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.begin_due(now, &CancellationToken::new()).await
    }

    async fn begin_due(&self, now: DateTime<Utc>, stop: &CancellationToken) -> Result<(), StoreError> {
        for (job, schedule) in
            [(ScheduledJob::Batch, &self.config.batch), (ScheduledJob::CleanUp, &self.config.clean_up)]
        {
            let Some(occurrence) = schedule.latest(now) else { continue };
            let begin = self.store.begin_occurrence(job, occurrence);
            if storage::within(STEP_LIMIT, begin).await? == Occurrence::Begun {
                tracing::info!(?job, %occurrence, "scheduled job begun");
                match job {
                    ScheduledJob::Batch => self.wakeups.announce_batch(),
                    ScheduledJob::CleanUp => self.clean_up(now, stop).await?,
                }
            }
        }
        Ok(())
    }

    /// Begins jobs because of changed listings, when enough have changed.
    async fn follow_listings(&self, stop: &CancellationToken) {
        let mut unrest = Unrest::default();
        while !stop.is_cancelled() {
            if let Err(error) = self.begin_for_listings(&mut unrest, stop).await {
                tracing::warn!(%error, "changed listings could not be followed");
            }
            stop.run_until_cancelled(tokio::time::sleep(LISTINGS_POLL)).await;
        }
    }

    async fn begin_for_listings(
        &self,
        unrest: &mut Unrest,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        for job in [ListingJob::Refill, ListingJob::SecondPass] {
            let unseen = storage::within(STEP_LIMIT, self.store.unseen_listings(job)).await?;
            let now = Instant::now();
            let ready = match job {
                ListingJob::Refill => unseen.are_many(),
                ListingJob::SecondPass => unrest.is_over(unseen, now, self.config.quiet),
            };
            if !ready {
                continue;
            }
            let begin = self.store.begin_for_listings(job, unseen);
            if storage::within(STEP_LIMIT, begin).await? == Occurrence::Begun {
                tracing::info!(?job, unseen.count, unseen.listings, "many listings have changed: job begun");
                match job {
                    ListingJob::Refill => self.sweep(None, stop).await?,
                    ListingJob::SecondPass => self.wakeups.announce_batch(),
                }
            }
        }
        Ok(())
    }

    /// A clean-up that is stopped in the middle resumes the next night.
    async fn clean_up(&self, now: DateTime<Utc>, stop: &CancellationToken) -> Result<(), StoreError> {
        self.sweep(self.config.retention.map(|retention| now - retention), stop).await
    }

    async fn sweep(
        &self,
        unverified_since: Option<DateTime<Utc>>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let (mut after, mut lists, mut rows, mut altered) = (None, 0, 0, 0);
        while !stop.is_cancelled() {
            let step = self.store.clean_up(after, unverified_since);
            let Some(cleaned) = storage::within(CLEAN_UP_TIMEOUT, step).await? else { break };
            (after, lists, rows) = (Some(cleaned.through), lists + cleaned.lists, rows + cleaned.rows);
            altered += cleaned.altered;
            if cleaned.rows + cleaned.altered > 0 {
                self.wakeups.announce(Lane::Batch);
            }
        }
        tracing::info!(lists, rows, altered, "clean-up finished");
        Ok(())
    }

    fn until_next(&self, now: DateTime<Utc>) -> Duration {
        let schedules = [&self.config.batch, &self.config.clean_up];
        let next = schedules.into_iter().filter_map(|schedule| schedule.next(now)).min();
        let sleep = next.and_then(|next| (next - now).to_std().ok()).unwrap_or(LONGEST_SLEEP);
        sleep.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn nightly() -> Schedule {
        Schedule::new("0 3 * * *", time_zone("Asia/Seoul").unwrap()).unwrap()
    }

    #[test]
    fn three_in_the_morning_in_seoul_is_six_in_the_evening_in_utc() {
        let before = at("2026-11-21T17:59:59Z");
        let three = at("2026-11-21T18:00:00Z");
        assert_eq!(nightly().next(before), Some(three));
        assert_eq!(nightly().latest(before), Some(at("2026-11-20T18:00:00Z")));
        assert_eq!(nightly().latest(three), Some(three), "not only after it");
        assert_eq!(nightly().next(three), Some(at("2026-11-22T18:00:00Z")));
    }

    #[test]
    fn a_night_with_a_changed_clock_has_one_batch() {
        let schedule = Schedule::new("30 2 * * *", time_zone("Europe/Berlin").unwrap()).unwrap();
        let mut occurrences = Vec::new();
        let mut now = at("2026-03-27T12:00:00Z");
        while now < at("2026-03-31T00:00:00Z") {
            now = schedule.next(now).unwrap();
            occurrences.push(now.with_timezone(&chrono_tz::Europe::Berlin).date_naive().to_string());
        }
        assert_eq!(occurrences, ["2026-03-28", "2026-03-29", "2026-03-30", "2026-03-31"]);
    }

    #[test]
    fn a_second_pass_waits_until_the_listings_are_quiet_but_not_for_long() {
        let quiet = Duration::from_secs(180);
        let unseen = |count| UnseenListings { count, listings: 1_000, through: 5_000 + count };
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut unrest = Unrest::default();
        assert!(!unrest.is_over(unseen(9), after(0), quiet), "too few have changed");
        assert!(!unrest.is_over(unseen(10), after(1_000), quiet), "just now");
        assert!(!unrest.is_over(unseen(10), after(1_179), quiet));
        assert!(!unrest.is_over(unseen(11), after(1_180), quiet), "the crawler goes on");
        assert!(unrest.is_over(unseen(11), after(1_360), quiet));
        assert!(!unrest.is_over(unseen(0), after(1_361), quiet), "another instance was faster");
        let mut busy = Unrest::default();
        let begun =
            (0..).find(|&tick| busy.is_over(unseen(10 + tick), after(60 * tick.unsigned_abs()), quiet));
        assert_eq!(begun, Some(60), "within an hour, however busy");
    }

    #[test]
    fn an_invalid_expression_is_refused() {
        for expression in ["", "every night", "0 0 3 * * *", "61 3 * * *", "0 0 31 2 *"] {
            assert!(Schedule::new(expression, chrono_tz::UTC).is_err(), "{expression:?}");
        }
    }
}
