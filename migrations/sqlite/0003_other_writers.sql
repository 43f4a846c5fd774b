-- Rows that another writer has changed are noticed by their contents: the checksum of the rows as the last replacement
-- left them. NULL: no replacement since this column exists. rows_updated_at is no longer used.
ALTER TABLE recommendation_state ADD COLUMN rows_checksum INTEGER;

-- How many listings have been deleted; the version counts all changes.
ALTER TABLE catalogue_state ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER job_listings_counted AFTER DELETE ON job_listings
BEGIN
    UPDATE catalogue_state SET deleted = deleted + 1;
END;

-- The changed (batch) or deleted (refill) listings that the latest occurrence has taken into account.
ALTER TABLE scheduled_jobs ADD COLUMN listings_seen INTEGER NOT NULL DEFAULT 0;
UPDATE scheduled_jobs SET listings_seen = (SELECT version FROM catalogue_state) WHERE name = 'batch';

INSERT INTO scheduled_jobs (name) VALUES ('refill');
