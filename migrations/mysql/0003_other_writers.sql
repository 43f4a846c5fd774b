-- Rows that another writer has changed are noticed by their contents: the checksum of the rows as the last replacement
-- left them. NULL: no replacement since this column exists. rows_updated_at, which is too coarse, is only left for
-- older versions that run side by side.
ALTER TABLE recommendation_state ADD COLUMN rows_checksum BIGINT NULL;

-- How many listings there are, how many have changed, and how many have been deleted, over all versions.
ALTER TABLE catalogue_state
    ADD COLUMN listings BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN changed  BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN deleted  BIGINT NOT NULL DEFAULT 0;

-- The changed (batch) or deleted (refill) listings that the latest occurrence has taken into account.
ALTER TABLE scheduled_jobs ADD COLUMN listings_seen BIGINT NOT NULL DEFAULT 0;

INSERT INTO scheduled_jobs (name) VALUES ('refill');
