-- Background work: who serves a due user, until when, and how often it has been tried. The columns are
-- explained in the migration for MySQL.
ALTER TABLE recommendation_state ADD COLUMN lane            INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recommendation_state ADD COLUMN requested_at    TEXT;
ALTER TABLE recommendation_state ADD COLUMN lease_token     TEXT;
ALTER TABLE recommendation_state ADD COLUMN lease_until     TEXT;
ALTER TABLE recommendation_state ADD COLUMN attempts        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recommendation_state ADD COLUMN parked_at       TEXT;
ALTER TABLE recommendation_state ADD COLUMN last_error_code TEXT;
ALTER TABLE recommendation_state ADD COLUMN last_error      TEXT;
ALTER TABLE recommendation_state ADD COLUMN batch_id        INTEGER;

DROP INDEX ix_recommendation_state_due;
CREATE INDEX ix_recommendation_state_lane_due ON recommendation_state (lane, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ix_recommendation_state_parked ON recommendation_state (parked_at) WHERE parked_at IS NOT NULL;
CREATE INDEX ix_recommendation_state_batch ON recommendation_state (batch_id);

CREATE TABLE recommendation_batches (
    id               INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    scope            TEXT    NOT NULL,
    users            TEXT,
    opened_at        TEXT    NOT NULL,
    marked_through   INTEGER NOT NULL DEFAULT 0,
    marked           INTEGER NOT NULL DEFAULT 0,
    marking_ended_at TEXT,
    finished_at      TEXT,
    computed         INTEGER,
    unchanged        INTEGER,
    parked           INTEGER
);

CREATE TABLE scheduled_jobs (
    name            TEXT NOT NULL PRIMARY KEY,
    last_occurrence TEXT
);
INSERT INTO scheduled_jobs (name) VALUES ('batch'), ('clean-up');
