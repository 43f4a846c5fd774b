-- Stand-ins for the tables of other DreamPath services, with the columns that job-agent reads. Only
-- `job-agent migrate --source-tables` and SAMPLE_DATA=true create them, for demonstrations: a deployment gets them from
-- its own services. IF NOT EXISTS: what exists is never touched.

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
