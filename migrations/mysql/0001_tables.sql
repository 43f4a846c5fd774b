-- The tables of job-agent. Those of other services are theirs to make.

-- A database that the old service created keeps its own shape (a surrogate id and a unique key on
-- the pair); the SQL in src/storage/mysql works on both.
CREATE TABLE IF NOT EXISTS user_job_recommendations (
    user_id             BIGINT        NOT NULL,
    job_listing_id      BIGINT        NOT NULL,
    match_score         DECIMAL(5, 2) NOT NULL,
    match_reason        TEXT          NULL,
    recommendation_data JSON          NULL,
    calculated_at       DATETIME(6)   NOT NULL,
    created_at          DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at          DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    PRIMARY KEY (user_id, job_listing_id)
) DEFAULT CHARSET = utf8mb4;

-- The state of each user's list.
CREATE TABLE recommendation_state (
    user_id           BIGINT      NOT NULL PRIMARY KEY,
    -- The compare-and-set token: bumped by every committed replacement, …
    version           BIGINT      NOT NULL DEFAULT 0,
    -- … and by every run that found the rows current.
    confirmations     BIGINT      NOT NULL DEFAULT 0,
    -- Of the stored rows as we wrote them.
    result_digest     CHAR(64)    CHARACTER SET ascii NULL,
    catalogue_version BIGINT      NOT NULL DEFAULT 0,
    scoring_revision  BIGINT      NOT NULL DEFAULT 0,
    saved_count       BIGINT      NOT NULL DEFAULT 0,
    rows_updated_at   DATETIME(6) NULL,
    -- Durable triggers.
    requested_seq     BIGINT      NOT NULL DEFAULT 0,
    completed_seq     BIGINT      NOT NULL DEFAULT 0,
    due_at            DATETIME(6) NULL,
    calculated_at     DATETIME(6) NULL,
    verified_at       DATETIME(6) NULL,
    KEY ix_recommendation_state_due (due_at)
) DEFAULT CHARSET = utf8mb4;

-- One row: the ordered number of the newest state of job_listings that any instance has read.
CREATE TABLE catalogue_state (
    id          TINYINT      NOT NULL PRIMARY KEY,
    version     BIGINT       NOT NULL,
    fingerprint VARCHAR(100) CHARACTER SET ascii NOT NULL
) DEFAULT CHARSET = utf8mb4;
