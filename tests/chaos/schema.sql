-- The harness's additions to the service's database. One statement per paragraph.

CREATE TABLE chaos_audit (
    id                BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    -- Of this row only: an id is given again if its row is lost with its server.
    mark              BIGINT UNSIGNED NOT NULL DEFAULT (UUID_SHORT()),
    user_id           BIGINT       NOT NULL,
    -- For a change of the profile: everything that ranking depends on.
    profile           VARCHAR(500) NULL,
    -- For a change of the state: the changed row.
    version           BIGINT       NULL,
    confirmations     BIGINT       NULL,
    result_digest     CHAR(64)     NULL,
    saved_count       BIGINT       NULL,
    catalogue_version BIGINT       NULL,
    scoring_revision  BIGINT       NULL,
    requested_seq     BIGINT       NULL,
    completed_seq     BIGINT       NULL,
    due               BOOLEAN      NULL,
    leased            BOOLEAN      NULL,
    parked            BOOLEAN      NULL,
    KEY ix_chaos_audit_user (user_id, id)
) DEFAULT CHARSET = utf8mb4

-- Group replication needs primary keys.
CREATE TABLE chaos_generation (id INT NOT NULL PRIMARY KEY, generation BIGINT NOT NULL)

INSERT INTO chaos_generation VALUES (1, 0)

CREATE TABLE chaos_catalogue (version BIGINT NOT NULL PRIMARY KEY, generation BIGINT NOT NULL)

CREATE TRIGGER chaos_profile_inserted AFTER INSERT ON job_recommendations FOR EACH ROW
    INSERT INTO chaos_audit (user_id, profile) VALUES (NEW.user_id, CONCAT(NEW.job_name, '|', NEW.category))

CREATE TRIGGER chaos_profile_updated AFTER UPDATE ON job_recommendations FOR EACH ROW
    INSERT INTO chaos_audit (user_id, profile) VALUES (NEW.user_id, CONCAT(NEW.job_name, '|', NEW.category))

CREATE TRIGGER chaos_state_inserted AFTER INSERT ON recommendation_state FOR EACH ROW
    INSERT INTO chaos_audit (user_id, version, confirmations, result_digest, saved_count, catalogue_version,
        scoring_revision, requested_seq, completed_seq, due, leased, parked)
    VALUES (NEW.user_id, NEW.version, NEW.confirmations, NEW.result_digest, NEW.saved_count, NEW.catalogue_version,
        NEW.scoring_revision, NEW.requested_seq, NEW.completed_seq, NEW.due_at IS NOT NULL,
        NEW.lease_token IS NOT NULL, NEW.parked_at IS NOT NULL)

CREATE TRIGGER chaos_state_updated AFTER UPDATE ON recommendation_state FOR EACH ROW
    INSERT INTO chaos_audit (user_id, version, confirmations, result_digest, saved_count, catalogue_version,
        scoring_revision, requested_seq, completed_seq, due, leased, parked)
    VALUES (NEW.user_id, NEW.version, NEW.confirmations, NEW.result_digest, NEW.saved_count, NEW.catalogue_version,
        NEW.scoring_revision, NEW.requested_seq, NEW.completed_seq, NEW.due_at IS NOT NULL,
        NEW.lease_token IS NOT NULL, NEW.parked_at IS NOT NULL)

-- Under READ COMMITTED: at least as new as the listings that the instance has read, and no newer than now.
CREATE TRIGGER chaos_catalogue_inserted AFTER INSERT ON catalogue_state FOR EACH ROW
    INSERT INTO chaos_catalogue SELECT NEW.version, generation FROM chaos_generation

CREATE TRIGGER chaos_catalogue_updated AFTER UPDATE ON catalogue_state FOR EACH ROW
    INSERT INTO chaos_catalogue SELECT NEW.version, generation FROM chaos_generation

CREATE TABLE chaos_jobs (
    id         BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name       VARCHAR(32) NOT NULL,
    occurrence DATETIME(6) NOT NULL
)

CREATE TRIGGER chaos_job_begun AFTER UPDATE ON scheduled_jobs FOR EACH ROW
    INSERT INTO chaos_jobs (name, occurrence) SELECT NEW.name, NEW.last_occurrence FROM DUAL
    WHERE NEW.name <> 'probe' AND NEW.last_occurrence <> COALESCE(OLD.last_occurrence, NEW.last_occurrence)
