-- The index of decision records has its rows chunk by chunk, so that they are appended. It is made anew from the records,
-- by the indexer.

-- +goose Up

DROP TABLE decision_term;
DELETE FROM decision_chunk;

-- The records of a chunk that have a term: see termsOf.
CREATE TABLE decision_term (
    chunk INTEGER NOT NULL, -- first of decision_chunk
    term  TEXT NOT NULL,
    first INTEGER NOT NULL, -- seq of the first of them
    rest  BLOB NOT NULL,    -- the others: see packSeqs
    PRIMARY KEY (chunk, term)
) STRICT, WITHOUT ROWID;

-- The last indexed record that names a revision.
CREATE TABLE named_revision (
    revision TEXT NOT NULL PRIMARY KEY, -- hash
    last     INTEGER NOT NULL           -- seq
) STRICT, WITHOUT ROWID;
CREATE INDEX named_revision_last ON named_revision (last);
