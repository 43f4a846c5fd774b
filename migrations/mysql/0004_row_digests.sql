-- The rows as the last replacement left them: the version that it wrote, then the listing and a digest of the contents of
-- each row, so that the next replacement knows what to write without reading the rows. NULL, or of another version than
-- the state: the next replacement writes all rows.
ALTER TABLE recommendation_state ADD COLUMN row_digests BLOB NULL;
