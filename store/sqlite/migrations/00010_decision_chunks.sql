-- Terms that few records have are indexed chunk by chunk, so that their rows are appended. The index is made anew from the
-- records, by the indexer.

-- +goose Up

DELETE FROM decision_term;
DELETE FROM decision_chunk;

-- The records of a chunk that have a rare term: see termsOf. Common terms stay in decision_term.
CREATE TABLE decision_rare (
    chunk INTEGER NOT NULL, -- first of decision_chunk
    term  TEXT NOT NULL,
    first INTEGER NOT NULL, -- seq of the first of them
    rest  BLOB NOT NULL,    -- the others: see packSeqs
    PRIMARY KEY (chunk, term)
) STRICT, WITHOUT ROWID;
