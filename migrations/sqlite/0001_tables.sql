-- The embedded database: every table is ours, times are UTC text as strftime('%Y-%m-%dT%H:%M:%fZ') writes it.

CREATE TABLE users (
    user_id   INTEGER NOT NULL PRIMARY KEY,
    is_active INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE career_sessions (
    id         INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    user_id    TEXT
);
CREATE INDEX ix_career_sessions_user ON career_sessions (user_id);

CREATE TABLE career_analyses (
    id                  INTEGER PRIMARY KEY,
    session_id          INTEGER NOT NULL,
    recommended_careers TEXT,
    interest_areas      TEXT,
    personality_type    TEXT,
    emotion_score       REAL,
    analyzed_at         TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX ix_career_analyses_session ON career_analyses (session_id, analyzed_at);

CREATE TABLE profile_analysis (
    user_id     INTEGER NOT NULL PRIMARY KEY,
    personality TEXT,
    "values"    TEXT,
    interests   TEXT,
    strengths   TEXT,
    goals       TEXT,
    values_list TEXT,
    mbti        TEXT,
    summary     TEXT
);

CREATE TABLE job_recommendations (
    user_id     INTEGER NOT NULL,
    job_name    TEXT NOT NULL,
    job_code    TEXT,
    match_score REAL,
    category    TEXT,
    description TEXT,
    PRIMARY KEY (user_id, job_name)
) WITHOUT ROWID;

CREATE TABLE job_listings (
    id              INTEGER PRIMARY KEY,
    site_name       TEXT NOT NULL,
    site_url        TEXT,
    job_id          TEXT NOT NULL,
    title           TEXT NOT NULL,
    company         TEXT,
    location        TEXT,
    description     TEXT,
    url             TEXT,
    reward          TEXT,
    experience      TEXT,
    search_keyword  TEXT,
    crawled_at      TEXT,
    created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    tech_stack      TEXT,
    required_skills TEXT,
    UNIQUE (site_name, job_id)
);

CREATE TABLE user_job_recommendations (
    user_id             INTEGER NOT NULL,
    job_listing_id      INTEGER NOT NULL,
    -- Hundredths of a point: SQLite has no decimal type, and ties need exact numbers.
    match_score         INTEGER NOT NULL,
    match_reason        TEXT,
    recommendation_data TEXT,
    calculated_at       TEXT NOT NULL,
    created_at          TEXT NOT NULL,
    updated_at          TEXT NOT NULL,
    PRIMARY KEY (user_id, job_listing_id)
) WITHOUT ROWID;

-- What MySQL's ON UPDATE CURRENT_TIMESTAMP does: a hand-made change shows in updated_at.
CREATE TRIGGER user_job_recommendations_touched AFTER UPDATE ON user_job_recommendations
WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE user_job_recommendations SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE user_id = NEW.user_id AND job_listing_id = NEW.job_listing_id;
END;

CREATE TABLE recommendation_state (
    user_id           INTEGER NOT NULL PRIMARY KEY,
    version           INTEGER NOT NULL DEFAULT 0,
    confirmations     INTEGER NOT NULL DEFAULT 0,
    result_digest     TEXT,
    catalogue_version INTEGER NOT NULL DEFAULT 0,
    scoring_revision  INTEGER NOT NULL DEFAULT 0,
    saved_count       INTEGER NOT NULL DEFAULT 0,
    rows_updated_at   TEXT,
    requested_seq     INTEGER NOT NULL DEFAULT 0,
    completed_seq     INTEGER NOT NULL DEFAULT 0,
    due_at            TEXT,
    calculated_at     TEXT,
    verified_at       TEXT
);
CREATE INDEX ix_recommendation_state_due ON recommendation_state (due_at) WHERE due_at IS NOT NULL;

-- One row: counts the changes of job_listings; listing_changes has the number of each listing's latest.
CREATE TABLE catalogue_state (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
);
INSERT INTO catalogue_state (id, version) VALUES (1, 1);

CREATE TABLE listing_changes (
    listing_id INTEGER NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL
);
CREATE INDEX ix_listing_changes_version ON listing_changes (version);

CREATE TRIGGER job_listings_inserted AFTER INSERT ON job_listings
BEGIN
    UPDATE catalogue_state SET version = version + 1;
    INSERT INTO listing_changes SELECT NEW.id, version FROM catalogue_state WHERE true
        ON CONFLICT (listing_id) DO UPDATE SET version = excluded.version;
END;
CREATE TRIGGER job_listings_updated AFTER UPDATE ON job_listings
BEGIN
    UPDATE catalogue_state SET version = version + 1;
    INSERT INTO listing_changes SELECT OLD.id, version FROM catalogue_state WHERE true
        ON CONFLICT (listing_id) DO UPDATE SET version = excluded.version;
    INSERT INTO listing_changes SELECT NEW.id, version FROM catalogue_state WHERE true
        ON CONFLICT (listing_id) DO UPDATE SET version = excluded.version;
END;
CREATE TRIGGER job_listings_deleted AFTER DELETE ON job_listings
BEGIN
    UPDATE catalogue_state SET version = version + 1;
    INSERT INTO listing_changes SELECT OLD.id, version FROM catalogue_state WHERE true
        ON CONFLICT (listing_id) DO UPDATE SET version = excluded.version;
END;
