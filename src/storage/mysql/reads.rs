//! The stored list, and the state of a user and of the queue.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::mysql::MySqlConnection;
use sqlx::query_as;
use sqlx_macros::FromRow;

use super::asked::{TOGETHER, asked_users, filled};
use super::fingerprint::row_checksum;
use super::pool::Pool;
use super::session::READ_PATIENCE;
use super::source::{SourceQuery, SourceTables};
use super::{MysqlStore, marking, snapshot};
use crate::domain::{Lane, UserId};
use crate::grouping::GroupedStep;
use crate::storage::queue::lane_number;
use crate::storage::rows::{ListRow, stored_list};
use crate::storage::{
    ParkedUser, QueueCounts, ReadStore, StoreError, StoredAnalysis, StoredList, UserStatus,
};

/// The columns of a row and its listing.
macro_rules! list_columns {
    () => {
        "CAST(r.job_listing_id AS SIGNED) AS job_listing_id,
       COALESCE(CAST(r.match_score AS DOUBLE), 0) AS match_score, CAST(r.match_reason AS CHAR) AS match_reason,
       CAST(r.recommendation_data AS CHAR) AS recommendation_data, CAST(l.title AS CHAR) AS title,
       CAST(l.company AS CHAR) AS company, CAST(l.location AS CHAR) AS location, CAST(l.url AS CHAR) AS url,
       LEFT(CAST(l.description AS CHAR), 300) AS description, CAST(l.site_name AS CHAR) AS site_name,
       CAST(l.tech_stack AS CHAR) AS tech_stack, CAST(l.required_skills AS CHAR) AS required_skills,
       CAST(l.experience AS CHAR) AS experience, CAST(l.crawled_at AS CHAR) AS crawled_at
"
    };
}

/// An inner join: a listing that has been deleted is gone from the list at once. One statement, so that the count
/// and the time are those of the rows. The state is joined by the parameter, so that it is read once. Only columns of the
/// first table give the order, so that the server sorts before it joins, and reads the listings of these rows only.
const LIST: &str = concat!(
    r"
SELECT (SELECT COUNT(*) FROM user_job_recommendations AS a WHERE a.user_id = ?) AS stored_count,
       COALESCE(s.calculated_at,
                (SELECT MAX(a.calculated_at) FROM user_job_recommendations AS a WHERE a.user_id = r.user_id)
       ) AS calculated_at,
       ",
    list_columns!(),
    r"FROM user_job_recommendations AS r
JOIN job_listings AS l ON l.id = r.job_listing_id
LEFT JOIN recommendation_state AS s ON s.user_id = ?
WHERE r.user_id = ?
ORDER BY r.match_score DESC, r.job_listing_id DESC
LIMIT ?
"
);

/// As [`LIST`] for several users, in three quarters of the time of as many statements. The places are those of all
/// rows, also of those whose listing is gone.
const LISTS: &str = concat!(
    r"
SELECT CAST(held.user_id AS SIGNED) AS user_id, CAST(held.place AS SIGNED) AS place, l.id IS NOT NULL AS is_listed,
       CAST(held.stored_count AS SIGNED) AS stored_count,
       COALESCE(s.calculated_at, held.newest) AS calculated_at,
       ",
    list_columns!(),
    r"FROM (
    SELECT a.user_id, a.job_listing_id,
           COUNT(*) OVER (PARTITION BY a.user_id) AS stored_count,
           MAX(a.calculated_at) OVER (PARTITION BY a.user_id) AS newest,
           ROW_NUMBER() OVER (PARTITION BY a.user_id ORDER BY a.match_score DESC, a.job_listing_id DESC) AS place
    FROM user_job_recommendations AS a
    WHERE a.user_id IN ",
    asked_users!(),
    r"
) AS held
JOIN user_job_recommendations AS r ON r.user_id = held.user_id AND r.job_listing_id = held.job_listing_id
LEFT JOIN job_listings AS l ON l.id = held.job_listing_id
LEFT JOIN recommendation_state AS s ON s.user_id = held.user_id
WHERE held.place <= ?
"
);

const USER_STATUS: &str = concat!(
    r"
SELECT s.due_at IS NOT NULL AS pending,
       s.due_at IS NOT NULL AND COALESCE(s.lease_until > UTC_TIMESTAMP(6), FALSE) AS running,
       s.requested_at, s.due_at, s.parked_at, CAST(s.attempts AS UNSIGNED) AS attempts, s.last_error_code,
       s.last_error, s.calculated_at, s.verified_at, s.saved_count,
       s.result_digest IS NOT NULL AND s.saved_count = held.listed AND held.listed = held.row_count
       AND COALESCE(s.rows_checksum = held.row_checksum, FALSE) AS intact
FROM recommendation_state AS s
CROSS JOIN (
    SELECT COUNT(*) AS row_count, COUNT(l.id) AS listed, COALESCE(SUM(",
    row_checksum!(),
    r"), 0) AS row_checksum
    FROM user_job_recommendations AS r
    LEFT JOIN job_listings AS l ON l.id = r.job_listing_id
    WHERE r.user_id = ?
) AS held
WHERE s.user_id = ?
"
);

const PARKED_USERS: &str = r"
SELECT user_id, parked_at, CAST(attempts AS UNSIGNED) AS attempts, last_error_code
FROM recommendation_state
WHERE parked_at IS NOT NULL
ORDER BY parked_at DESC, user_id
LIMIT ?
";

const QUEUE_COUNTS: &str = r"
SELECT CAST(COALESCE(SUM(lane = ? AND NOT leased), 0) AS SIGNED) AS due_in_real_time,
       CAST(COALESCE(SUM(lane = ? AND NOT leased), 0) AS SIGNED) AS due_in_batch,
       CAST(COALESCE(MAX(CASE WHEN lane = ? THEN age END), 0) AS SIGNED) AS real_time_age_secs,
       CAST(COALESCE(MAX(CASE WHEN lane = ? THEN age END), 0) AS SIGNED) AS batch_age_secs,
       CAST(COALESCE(SUM(leased), 0) AS SIGNED) AS running,
       (SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL) AS parked
FROM (
    SELECT lane, COALESCE(lease_until > UTC_TIMESTAMP(6), FALSE) AS leased,
           GREATEST(TIMESTAMPDIFF(SECOND, requested_at, UTC_TIMESTAMP(6)), 0) AS age
    FROM recommendation_state
    -- The lanes are named for the index on (lane, due_at).
    WHERE lane IN (?, ?) AND due_at IS NOT NULL
) AS pending
";

async fn list(
    connection: &mut MySqlConnection,
    source: &SourceTables,
    user: UserId,
    limit: u32,
) -> Result<Vec<ListRow>, StoreError> {
    let bind = |query: SourceQuery<ListRow>| {
        let id = user.get();
        query.bind(id).bind(id).bind(id).bind(limit)
    };
    source.rows(connection, LIST, bind).await
}

/// A row of the list of one of several users.
#[derive(Clone, FromRow)]
struct PlacedRow {
    user_id: i64,
    place: i64,
    /// The row's listing still exists.
    is_listed: bool,
    #[sqlx(flatten)]
    row: ListRow,
}

/// A user whose list is wanted, and at most how many rows of it.
type Asked = (UserId, u32);

/// [`list`] for several users, in their order. `None` for a user of whom a row has lost its listing: other rows take its
/// place then.
async fn lists(
    connection: &mut MySqlConnection,
    source: &SourceTables,
    asked: &[Asked],
) -> Result<Vec<Option<Vec<ListRow>>>, StoreError> {
    let mut of_users: HashMap<i64, Vec<PlacedRow>> = HashMap::new();
    let most = asked.iter().map(|(_, limit)| *limit).max();
    let users: BTreeSet<UserId> = asked.iter().map(|(user, _)| *user).collect();
    for users in Vec::from_iter(users).chunks(TOGETHER) {
        let bind = |query: SourceQuery<PlacedRow>| {
            filled(users).fold(query, |query, user| query.bind(user.get())).bind(most)
        };
        for row in source.rows(connection, LISTS, bind).await? {
            of_users.entry(row.user_id).or_default().push(row);
        }
    }
    let list = |(place, (user, limit)): (usize, &Asked)| {
        let id = user.get();
        let is_wanted_again = asked[place + 1..].iter().any(|(other, _)| other == user);
        let rows = if is_wanted_again { of_users.get(&id).cloned() } else { of_users.remove(&id) };
        let mut rows = rows.unwrap_or_default();
        rows.retain(|row| row.place <= i64::from(*limit));
        rows.sort_unstable_by_key(|row| row.place);
        let is_whole = rows.iter().all(|row| row.is_listed);
        is_whole.then(|| rows.into_iter().map(|row| row.row).collect())
    };
    Ok(asked.iter().enumerate().map(list).collect())
}

/// Reads lists, those that are asked for at the same time with one statement.
#[derive(Debug)]
pub(super) struct Lists {
    pool: Pool,
    source: Arc<SourceTables>,
}

impl Lists {
    pub(super) fn new(pool: &Pool, source: &Arc<SourceTables>) -> Self {
        Self { pool: pool.clone(), source: source.clone() }
    }

    async fn of(&self, (user, limit): Asked) -> Result<Vec<ListRow>, StoreError> {
        let read = || {
            let read = self
                .pool
                .with_connection(async |connection| list(connection, &self.source, user, limit).await);
            read.boxed()
        };
        self.pool.twice(READ_PATIENCE, read).await
    }
}

/// Done: the list; `None` if it has to be read alone.
#[async_trait]
impl GroupedStep for Lists {
    type Item = Asked;
    type Done = Result<Option<Vec<ListRow>>, StoreError>;

    async fn alone(&self, asked: &Asked) -> Self::Done {
        self.of(*asked).await.map(Some)
    }

    async fn together(&self, asked: &[Asked]) -> Option<Vec<Self::Done>> {
        let read = || {
            let read =
                self.pool.with_connection(async |connection| lists(connection, &self.source, asked).await);
            read.boxed()
        };
        let lists = self.pool.twice(READ_PATIENCE, read).await.ok()?;
        Some(lists.into_iter().map(Ok).collect())
    }
}

impl MysqlStore {
    /// Reads on the replica, if there is one that is not behind for the user, else on the primary.
    async fn read<T: Send>(
        &self,
        user: UserId,
        read: impl for<'c> Fn(&'c mut MySqlConnection, &'c SourceTables) -> BoxFuture<'c, Result<T, StoreError>>
        + Send
        + Sync,
    ) -> Result<T, StoreError> {
        if let Some(replica) = &self.replica
            && let Some(answer) = replica.read(&self.pool, user, &read).await?
        {
            return Ok(answer);
        }
        let read = &read;
        let on_primary =
            || self.pool.with_connection(async |connection| read(connection, &self.source).await).boxed();
        self.pool.twice(READ_PATIENCE, on_primary).await
    }
}

#[async_trait]
impl ReadStore for MysqlStore {
    async fn stored_list(&self, user: UserId, limit: u32, min_score: u8) -> Result<StoredList, StoreError> {
        let alone = self.read(user, move |connection, source| list(connection, source, user, limit).boxed());
        // A replica may be behind for one user and not for another.
        let together = if self.replica.is_none() { self.lists.run((user, limit)).await? } else { None };
        let rows = match together {
            Some(rows) => rows,
            None => alone.await?,
        };
        Ok(stored_list(rows, min_score))
    }

    async fn list_with_analysis(
        &self,
        user: UserId,
        limit: u32,
    ) -> Result<(StoredList, StoredAnalysis), StoreError> {
        let read = self.read(user, move |connection, source| {
            let read = async move {
                let analysis = snapshot::read(connection, source, user).await?.analysis;
                Ok((stored_list(list(connection, source, user, limit).await?, 0), analysis))
            };
            read.boxed()
        });
        read.await
    }

    async fn user_status(&self, user: UserId) -> Result<Option<UserStatus>, StoreError> {
        let statuses = self.read(user, move |connection, source| {
            let bind = move |query: SourceQuery<UserStatus>| query.bind(user.get()).bind(user.get());
            source.rows(connection, USER_STATUS, bind).boxed()
        });
        Ok(statuses.await?.pop())
    }

    async fn users_after(&self, after: i64, most: u32) -> Result<Vec<UserId>, StoreError> {
        marking::users_after(&self.pool, &self.source, after, most).await
    }

    async fn parked_users(&self, limit: u32) -> Result<Vec<ParkedUser>, StoreError> {
        let parked = query_as(PARKED_USERS).bind(limit);
        self.pool.with_connection(async |connection| Ok(parked.fetch_all(connection).await?)).await
    }

    async fn queue_counts(&self) -> Result<QueueCounts, StoreError> {
        let (real_time, batch) = (lane_number(Lane::RealTime), lane_number(Lane::Batch));
        let counts = query_as(QUEUE_COUNTS)
            .bind(real_time)
            .bind(batch)
            .bind(real_time)
            .bind(batch)
            .bind(real_time)
            .bind(batch);
        self.pool.with_connection(async |connection| Ok(counts.fetch_one(connection).await?)).await
    }
}
