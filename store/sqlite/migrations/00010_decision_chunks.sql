-- Terms that few records have are indexed chunk by chunk, so that their rows are appended. The index is made anew from the
-- records, by the indexer. A server of the schema before that was not stopped cannot add to it: the table has a new name.

-- +goose Up

ALTER TABLE decision_term RENAME TO decision_common;
DELETE FROM decision_common;
DELETE FROM decision_chunk;

-- The records of a chunk that have a rare term: see isRare.
CREATE TABLE decision_rare (
    chunk INTEGER NOT NULL, -- first of decision_chunk
    term  TEXT NOT NULL,
    first INTEGER NOT NULL, -- as in decision_common
    last  INTEGER NOT NULL,
    rest  BLOB NOT NULL,
    PRIMARY KEY (chunk, term)
) STRICT, WITHOUT ROWID;
