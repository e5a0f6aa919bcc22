-- What an activation of a policy ends, and until when it must be confirmed. The files of
-- revisions, each once.

-- +goose Up

-- RPTs of a revision that were granted up to a generation of the realm are inactive: one row,
-- however many there are.
CREATE TABLE withdrawn_revision (
    realm      INTEGER NOT NULL,
    revision   TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (realm, revision)
) STRICT, WITHOUT ROWID;

-- When a period is rolled back; 0: it needs no confirmation, or was confirmed.
ALTER TABLE policy_period ADD COLUMN confirm_by INTEGER NOT NULL DEFAULT 0;

-- The files of revisions, by hash. Those of revisions of an earlier schema have no hash, and
-- are not compressed.
CREATE TABLE policy_file (
    key      INTEGER PRIMARY KEY,
    realm    TEXT NOT NULL,
    hash     BLOB,             -- SHA-256 of the content
    encoding INTEGER NOT NULL, -- of content; 0: as it is, 1: gzip
    content  BLOB NOT NULL,
    UNIQUE (realm, hash)
) STRICT;

ALTER TABLE revision RENAME TO old_revision;

-- The policies that records name, and that were in force.
CREATE TABLE revision (
    key    INTEGER PRIMARY KEY,
    realm  TEXT NOT NULL,
    hash   TEXT NOT NULL,
    since  INTEGER NOT NULL,
    opa    TEXT NOT NULL, -- versions at the last activation; empty if it was before this schema
    umpire TEXT NOT NULL,
    UNIQUE (realm, hash)
) STRICT;

CREATE TABLE revision_file (
    revision INTEGER NOT NULL REFERENCES revision,
    path     TEXT NOT NULL,
    beside   INTEGER NOT NULL, -- 1: a test or the manifest, which is no part of the hash
    file     INTEGER NOT NULL REFERENCES policy_file,
    PRIMARY KEY (revision, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX revision_file_file ON revision_file (file);

-- Realms with the same sources shared a row.
INSERT INTO revision (realm, hash, since, opa, umpire)
    SELECT realm, hash, since, '', '' FROM old_revision
    UNION SELECT p.realm, o.hash, o.since, '', '' FROM policy_period p JOIN old_revision o ON o.hash = p.revision
    UNION SELECT d.realm, o.hash, o.since, '', ''
        FROM (SELECT DISTINCT realm, revision FROM decision WHERE (SELECT count(*) FROM realm) > 1) d
        JOIN old_revision o ON o.hash = d.revision;

CREATE TABLE split AS
    SELECT row_number() OVER () AS key, r.key AS revision, r.realm AS realm, j.key AS path, j.value AS content
    FROM revision r JOIN old_revision o ON o.hash = r.hash JOIN json_each(o.sources) j;
INSERT INTO policy_file (key, realm, encoding, content) SELECT key, realm, 0, CAST(content AS BLOB) FROM split;
INSERT INTO revision_file (revision, path, beside, file) SELECT revision, path, 0, key FROM split;
DROP TABLE split;
DROP TABLE old_revision;
