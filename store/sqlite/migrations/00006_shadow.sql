-- Shadow policies: what another policy would have decided otherwise, while decisions are made.

-- +goose Up

CREATE TABLE shadow (
    realm    TEXT PRIMARY KEY,
    revision TEXT NOT NULL,
    cursor   INTEGER NOT NULL, -- seq of the last record that was evaluated
    since    INTEGER NOT NULL,
    problem  TEXT NOT NULL,
    counts   TEXT NOT NULL,    -- JSON
    version  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE shadow_change (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    realm    TEXT NOT NULL,
    revision TEXT NOT NULL, -- of the shadow
    change   BLOB NOT NULL  -- JSON
) STRICT;
CREATE INDEX shadow_change_realm ON shadow_change (realm, key);
