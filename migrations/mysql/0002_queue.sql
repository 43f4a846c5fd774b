-- Background work: who serves a due user, until when, and how often it has been tried.
ALTER TABLE recommendation_state
    -- 0: a trigger in real time, 1: the batch (storage::Lane).
    ADD COLUMN lane            TINYINT      NOT NULL DEFAULT 0,
    -- When the oldest trigger came in that is not served yet.
    ADD COLUMN requested_at    DATETIME(6)  NULL,
    -- The worker that serves the user, and how long others leave the user to it.
    ADD COLUMN lease_token     VARCHAR(150) NULL,
    ADD COLUMN lease_until     DATETIME(6)  NULL,
    -- Counted when a lease is taken, so that a user who kills the process is counted, too.
    ADD COLUMN attempts        INT          NOT NULL DEFAULT 0,
    -- Tried too often: left alone until the next trigger.
    ADD COLUMN parked_at       DATETIME(6)  NULL,
    ADD COLUMN last_error_code VARCHAR(50)  NULL,
    ADD COLUMN last_error      VARCHAR(500) NULL,
    -- The latest batch that marked the user due.
    ADD COLUMN batch_id        BIGINT       NULL,
    DROP KEY ix_recommendation_state_due,
    ADD KEY ix_recommendation_state_lane_due (lane, due_at),
    ADD KEY ix_recommendation_state_parked (parked_at),
    ADD KEY ix_recommendation_state_batch (batch_id);

-- A batch marks users due in chunks of ascending id; the workers of all instances serve them. At most one
-- is open (finished_at IS NULL): opening one locks the row 'batch' of scheduled_jobs.
CREATE TABLE recommendation_batches (
    id               BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
    -- active, all, or listed: the JSON array in users.
    scope            VARCHAR(16) NOT NULL,
    users            LONGTEXT    NULL,
    opened_at        DATETIME(6) NOT NULL,
    -- Users up to this id have been marked; the instance that marks the next chunk compares and moves it.
    marked_through   BIGINT      NOT NULL DEFAULT 0,
    marked           BIGINT      NOT NULL DEFAULT 0,
    marking_ended_at DATETIME(6) NULL,
    finished_at      DATETIME(6) NULL,
    -- The result, kept when the batch is finished.
    computed         BIGINT      NULL,
    unchanged        BIGINT      NULL,
    parked           BIGINT      NULL,
    KEY ix_recommendation_batches_finished (finished_at)
) DEFAULT CHARSET = utf8mb4;

-- The latest occurrence of each schedule that some instance has begun. NULL: no instance has looked yet.
CREATE TABLE scheduled_jobs (
    name            VARCHAR(32) NOT NULL PRIMARY KEY,
    last_occurrence DATETIME(6) NULL
) DEFAULT CHARSET = utf8mb4;

INSERT INTO scheduled_jobs (name) VALUES ('batch'), ('clean-up');
