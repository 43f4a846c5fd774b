//! Everything that a run reads of a user, in one statement: of one moment, whatever is committed meanwhile. It costs one
//! round trip.

use std::collections::HashMap;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::types::Json;
use sqlx::{FromRow, Row};

use super::asked::{TOGETHER, asked_users, filled};
use super::fingerprint::row_checksum;
use super::session::this_server;
use super::source::{SourceQuery, SourceTables};
use crate::domain::{ListingId, UserId};
use crate::storage::rows::StateRow;
use crate::storage::{
    CareerAnalysis, MAX_CAREERS, ProfileAnalysis, Snapshot, StoreError, StoredCareer, StoredRow, UserState,
};

/// The parts of the snapshot, each in rows of its own. The first row is the state, with the stored rows as a text:
/// listing and checksum of each. The tables of the analyses belong to other services. All of their columns are cast to
/// text: their types differ between deployments, and `profile` reads the text.
const SNAPSHOT: &str = concat!(
    r"
SELECT 'state' AS part, held.listed, UTC_TIMESTAMP(6) AS now,
       s.version, s.confirmations, s.result_digest, s.catalogue_version, s.scoring_revision, s.saved_count,
       s.rows_checksum, s.row_digests, s.requested_seq, s.completed_seq, s.calculated_at, s.verified_at,
       ",
    this_server!(),
    r" AS text1, NULL AS text2, NULL AS text3, NULL AS text4
FROM (
    SELECT GROUP_CONCAT(CONCAT(r.job_listing_id, ' ', ",
    row_checksum!(),
    r")) AS listed
    FROM user_job_recommendations AS r
    WHERE r.user_id = ?
) AS held
LEFT JOIN recommendation_state AS s ON s.user_id = ?

UNION ALL (
    SELECT 'career', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           CAST(j.job_name AS CHAR), CAST(j.match_score AS CHAR), CAST(j.category AS CHAR), NULL
    FROM job_recommendations AS j
    WHERE j.user_id = ?
    -- As numbers: some writers store scores as text.
    ORDER BY j.match_score + 0 DESC, j.job_name
    LIMIT ?
)
UNION ALL (
    SELECT 'analysis', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           CAST(a.recommended_careers AS CHAR), CAST(a.interest_areas AS CHAR), NULL, NULL
    FROM career_analyses AS a
    JOIN career_sessions AS c ON c.id = a.session_id
    -- Bound as text: comparing a VARCHAR with a number would convert every row, and match '7abc' for 7.
    WHERE c.user_id = ?
    ORDER BY a.analyzed_at DESC, a.id DESC
    LIMIT 1
)
UNION ALL (
    SELECT 'profile', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           CAST(p.interests AS CHAR), CAST(p.strengths AS CHAR), CAST(p.goals AS CHAR), CAST(p.summary AS CHAR)
    FROM profile_analysis AS p
    WHERE p.user_id = ?
    -- The newest, where no key keeps the user's row unique.
    ORDER BY p.updated_at DESC, p.created_at DESC, p.id DESC
    LIMIT 1
)
"
);

/// As [`SNAPSHOT`], for several users: two thirds of the work of as many statements. Each part tells its user, and careers
/// their order.
const SNAPSHOTS: &str = concat!(
    r"
SELECT 'state' AS part, CAST(asked.id AS CHAR) AS user, 0 AS place,
       (SELECT GROUP_CONCAT(CONCAT(r.job_listing_id, ' ', ",
    row_checksum!(),
    r"))
        FROM user_job_recommendations AS r
        WHERE r.user_id = asked.id) AS listed,
       UTC_TIMESTAMP(6) AS now,
       s.version, s.confirmations, s.result_digest, s.catalogue_version, s.scoring_revision, s.saved_count,
       s.rows_checksum, s.row_digests, s.requested_seq, s.completed_seq, s.calculated_at, s.verified_at,
       ",
    this_server!(),
    r" AS text1, NULL AS text2, NULL AS text3, NULL AS text4
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS asked
LEFT JOIN recommendation_state AS s ON s.user_id = asked.id

UNION ALL
SELECT 'career', CAST(n.user AS CHAR), CAST(n.place AS SIGNED),
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       CAST(n.job_name AS CHAR), CAST(n.match_score AS CHAR), CAST(n.category AS CHAR), NULL
FROM (
    SELECT j.user_id AS user, j.job_name AS job_name, j.match_score AS match_score, j.category AS category,
           ROW_NUMBER() OVER (PARTITION BY j.user_id ORDER BY j.match_score + 0 DESC, j.job_name) AS place
    FROM job_recommendations AS j
    WHERE j.user_id IN ",
    asked_users!(),
    r"
) AS n
WHERE n.place <= ?

UNION ALL
SELECT 'analysis', CAST(n.user AS CHAR), CAST(n.place AS SIGNED),
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       CAST(n.recommended_careers AS CHAR), CAST(n.interest_areas AS CHAR), NULL, NULL
FROM (
    SELECT c.user_id AS user, a.recommended_careers AS recommended_careers, a.interest_areas AS interest_areas,
           ROW_NUMBER() OVER (PARTITION BY c.user_id ORDER BY a.analyzed_at DESC, a.id DESC) AS place
    FROM career_analyses AS a
    JOIN career_sessions AS c ON c.id = a.session_id
    WHERE c.user_id IN ",
    asked_users!(),
    r"
) AS n
WHERE n.place = 1

UNION ALL
SELECT 'profile', CAST(n.user AS CHAR), CAST(n.place AS SIGNED),
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       CAST(n.interests AS CHAR), CAST(n.strengths AS CHAR), CAST(n.goals AS CHAR), CAST(n.summary AS CHAR)
FROM (
    SELECT p.user_id AS user, p.interests AS interests, p.strengths AS strengths, p.goals AS goals,
           p.summary AS summary,
           ROW_NUMBER() OVER (
               PARTITION BY p.user_id ORDER BY p.updated_at DESC, p.created_at DESC, p.id DESC
           ) AS place
    FROM profile_analysis AS p
    WHERE p.user_id IN ",
    asked_users!(),
    r"
) AS n
WHERE n.place = 1
"
);

/// A row of the snapshot.
enum Part {
    State(UserState),
    Career(StoredCareer),
    Analysis(CareerAnalysis),
    Profile(ProfileAnalysis),
}

impl FromRow<'_, MySqlRow> for Part {
    fn from_row(row: &MySqlRow) -> sqlx::Result<Self> {
        let text = |column: &str| row.try_get::<Option<String>, _>(column);
        Ok(match row.try_get("part")? {
            "career" => Self::Career(StoredCareer {
                job_name: text("text1")?,
                match_score: text("text2")?,
                category: text("text3")?,
            }),
            "analysis" => Self::Analysis(CareerAnalysis {
                recommended_careers: text("text1")?,
                interest_areas: text("text2")?,
            }),
            "profile" => Self::Profile(ProfileAnalysis {
                interests: text("text1")?,
                strengths: text("text2")?,
                goals: text("text3")?,
                summary: text("text4")?,
            }),
            _ => {
                let state = state(StateRow::from_row(row)?, row.try_get("listed")?);
                Self::State(UserState { server: text("text1")?.unwrap_or_default(), ..state })
            }
        })
    }
}

/// A part of the snapshot of one of several users.
struct PartOf {
    user: String,
    place: i64,
    part: Part,
}

impl FromRow<'_, MySqlRow> for PartOf {
    fn from_row(row: &MySqlRow) -> sqlx::Result<Self> {
        Ok(Self { user: row.try_get("user")?, place: row.try_get("place")?, part: Part::from_row(row)? })
    }
}

fn add(snapshot: &mut Snapshot, part: Part) {
    match part {
        Part::State(state) => snapshot.state = state,
        Part::Career(career) => snapshot.analysis.job_recommendations.push(career),
        Part::Analysis(newest) => snapshot.analysis.career_analysis = Some(newest),
        Part::Profile(profile) => snapshot.analysis.profile = Some(profile),
    }
}

pub(super) async fn read(
    connection: &mut MySqlConnection,
    source: &SourceTables,
    user: UserId,
) -> Result<Snapshot, StoreError> {
    let id = user.get();
    let bind = |query: SourceQuery<Part>| {
        query.bind(id).bind(id).bind(id).bind(MAX_CAREERS as u32).bind(user.to_string()).bind(id)
    };
    let mut snapshot = Snapshot::default();
    for part in source.rows(connection, SNAPSHOT, bind).await? {
        add(&mut snapshot, part);
    }
    Ok(snapshot)
}

/// [`read`] for several users, in their order.
pub(super) async fn read_all(
    connection: &mut MySqlConnection,
    source: &SourceTables,
    users: &[UserId],
) -> Result<Vec<Snapshot>, StoreError> {
    let mut snapshots = Vec::with_capacity(users.len());
    for users in users.chunks(TOGETHER) {
        snapshots.extend(read_chunk(connection, source, users).await?);
    }
    Ok(snapshots)
}

async fn read_chunk(
    connection: &mut MySqlConnection,
    source: &SourceTables,
    users: &[UserId],
) -> Result<Vec<Snapshot>, StoreError> {
    let bind = |query: SourceQuery<PartOf>| {
        let query = query.bind(Json(users.to_vec()));
        let query = filled(users).fold(query, |query, user| query.bind(user.get())).bind(MAX_CAREERS as u32);
        let query = filled(users).fold(query, |query, user| query.bind(user.to_string()));
        filled(users).fold(query, |query, user| query.bind(user.get()))
    };
    let mut parts = source.rows(connection, SNAPSHOTS, bind).await?;
    parts.sort_by_key(|part| part.place);
    let mut snapshots: HashMap<String, Snapshot> =
        users.iter().map(|user| (user.to_string(), Snapshot::default())).collect();
    for PartOf { user, part, .. } in parts {
        // The session of an analysis can name its user in letters that only the database finds equal.
        let unequal = || StoreError::refused(format!("`{user}` is none of the users that were asked for"));
        add(snapshots.get_mut(&user).ok_or_else(unequal)?, part);
    }
    Ok(users.iter().map(|user| snapshots.remove(&user.to_string()).unwrap_or_default()).collect())
}

/// The state, with the stored rows by a text of listings and checksums.
fn state(state: StateRow, listed: Option<&str>) -> UserState {
    let digests = state.digests();
    let row = |row: &str| {
        let (listing, checksum) = row.split_once(' ')?;
        let listing_id = ListingId(listing.parse().ok()?);
        let digest = digests.get(&listing_id).copied();
        Some(StoredRow { listing_id, digest, checksum: checksum.parse().ok()? })
    };
    state.with(listed.unwrap_or_default().split(',').filter_map(row).collect())
}
