-- Tables that belong to other DreamPath services. A deployment has them already; a new database gets
-- the columns that job-agent reads. IF NOT EXISTS: what exists is never touched.

CREATE TABLE IF NOT EXISTS users (
    user_id    BIGINT       NOT NULL PRIMARY KEY,
    is_active  BOOLEAN      NOT NULL DEFAULT TRUE,
    created_at DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS career_sessions (
    id         BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    session_id VARCHAR(255) NOT NULL,
    user_id    VARCHAR(255) NULL,
    created_at DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    UNIQUE KEY uq_career_sessions_session (session_id),
    KEY ix_career_sessions_user (user_id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS career_analyses (
    id                  BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    session_id          BIGINT       NOT NULL,
    recommended_careers JSON         NULL,
    interest_areas      JSON         NULL,
    personality_type    VARCHAR(255) NULL,
    emotion_score       DOUBLE       NULL,
    analyzed_at         DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY ix_career_analyses_session (session_id, analyzed_at)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS profile_analysis (
    id          BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id     BIGINT      NOT NULL,
    personality TEXT        NULL,
    `values`    TEXT        NULL,
    interests   TEXT        NULL,
    strengths   TEXT        NULL,
    goals       TEXT        NULL,
    values_list TEXT        NULL,
    mbti        VARCHAR(16) NULL,
    summary     TEXT        NULL,
    created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    UNIQUE KEY uq_profile_analysis_user (user_id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS job_recommendations (
    id          BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id     BIGINT       NOT NULL,
    job_name    VARCHAR(255) NOT NULL,
    job_code    VARCHAR(64)  NULL,
    match_score DOUBLE       NULL,
    category    VARCHAR(255) NULL,
    description TEXT         NULL,
    UNIQUE KEY uq_job_recommendations_user_job (user_id, job_name)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS job_listings (
    id              BIGINT        NOT NULL AUTO_INCREMENT PRIMARY KEY,
    site_name       VARCHAR(100)  NOT NULL,
    site_url        VARCHAR(500)  NULL,
    job_id          VARCHAR(255)  NOT NULL,
    title           VARCHAR(500)  NOT NULL,
    company         VARCHAR(255)  NULL,
    location        VARCHAR(255)  NULL,
    description     TEXT          NULL,
    url             VARCHAR(1000) NULL,
    reward          VARCHAR(255)  NULL,
    experience      VARCHAR(255)  NULL,
    search_keyword  VARCHAR(255)  NULL,
    crawled_at      DATETIME(6)   NULL,
    created_at      DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at      DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    tech_stack      TEXT          NULL,
    required_skills TEXT          NULL,
    UNIQUE KEY uq_job_listings_site_job (site_name, job_id),
    KEY ix_job_listings_updated (updated_at)
) DEFAULT CHARSET = utf8mb4;

-- Ours. A database that the old service created keeps its own shape (a surrogate id and a unique key on
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
