-- Decision records are appended to a table without indexes, and indexed afterwards.

-- +goose Up

CREATE TABLE decision_log (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    fields   BLOB NOT NULL,    -- see packRecord
    encoding INTEGER NOT NULL, -- of event: see events.go
    event    BLOB NOT NULL,
    shared   INTEGER           -- key of the row of decision_shared that event needs; NULL for none
) STRICT;

-- Only records that share parts are in it: those of a request with several permissions.
CREATE INDEX decision_log_shared ON decision_log (shared) WHERE shared IS NOT NULL;

-- Chunks of records that were indexed together: the last one says how far the index has come.
CREATE TABLE decision_chunk (
    first    INTEGER PRIMARY KEY, -- seq
    last     INTEGER NOT NULL,
    earliest INTEGER NOT NULL,    -- times of records
    latest   INTEGER NOT NULL
) STRICT;
CREATE INDEX decision_chunk_earliest ON decision_chunk (earliest);
CREATE INDEX decision_chunk_latest ON decision_chunk (latest);

-- The records of a chunk that have a term: see termsOf.
CREATE TABLE decision_term (
    term  TEXT NOT NULL,
    first INTEGER NOT NULL, -- seq of the first of them
    last  INTEGER NOT NULL,
    rest  BLOB NOT NULL,    -- the others: see packSeqs
    PRIMARY KEY (term, first)
) STRICT, WITHOUT ROWID;

-- Records of the schema before stay in decision, with its indexes. Numbers go on from there.
INSERT INTO sqlite_sequence (name, seq) SELECT 'decision_log', seq FROM sqlite_sequence WHERE name = 'decision';
