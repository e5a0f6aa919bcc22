-- The periods in which revisions were in force take the place of policy_in_force.

-- +goose Up

-- Periods are kept for ever; the sources of their revisions may be gone.
CREATE TABLE policy_period (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    realm    TEXT NOT NULL,
    revision TEXT NOT NULL,    -- hash of a row of revision
    content  TEXT NOT NULL,    -- hash of the realm's own files
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL, -- 0: in force
    author   TEXT NOT NULL,
    source   TEXT NOT NULL,
    note     TEXT NOT NULL,
    pinned   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX policy_period_active ON policy_period (realm) WHERE until = 0;
CREATE INDEX policy_period_realm ON policy_period (realm, key);
CREATE INDEX policy_period_revision ON policy_period (revision, realm, key);

-- What the source of a realm proposed: the content that was taken last, and the one that
-- was not taken.
CREATE TABLE policy_proposal (
    realm   TEXT PRIMARY KEY,
    taken   TEXT NOT NULL DEFAULT '',
    content TEXT NOT NULL DEFAULT '', -- empty: none
    source  TEXT NOT NULL DEFAULT '',
    at      INTEGER NOT NULL DEFAULT 0,
    problem TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- The content of earlier policies is not known: their hash stands for it.
INSERT INTO policy_period (realm, revision, content, since, until, author, source, note, pinned)
    SELECT f.realm, f.hash, f.hash, r.since, 0, 'server', '', '', 0
    FROM policy_in_force f JOIN revision r ON r.hash = f.hash;

DROP TABLE policy_in_force;
ALTER TABLE revision DROP COLUMN replaced;
