-- Terms that few records have are indexed chunk by chunk, so that their rows are appended. The index is made anew from the
-- records, by the indexer. Its tables have new names: a server of the schema before that was not stopped must not go on.

-- +goose Up

DROP TABLE decision_term;
DELETE FROM decision_chunk;

-- The records of a chunk that have a term which many records have: see isRare.
CREATE TABLE decision_common (
    term  TEXT NOT NULL,
    first INTEGER NOT NULL, -- seq of the first of them
    last  INTEGER NOT NULL,
    rest  BLOB NOT NULL,    -- the others: see packSeqs
    PRIMARY KEY (term, first)
) STRICT, WITHOUT ROWID;

-- Those that have any other term.
CREATE TABLE decision_rare (
    chunk INTEGER NOT NULL, -- first of decision_chunk
    term  TEXT NOT NULL,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    rest  BLOB NOT NULL,
    PRIMARY KEY (chunk, term)
) STRICT, WITHOUT ROWID;
