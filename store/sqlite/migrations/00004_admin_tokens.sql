-- Tokens of the admin API, and what they were used for.

-- +goose Up

CREATE TABLE admin_token (
    id      TEXT PRIMARY KEY,
    realm   TEXT NOT NULL,
    name    TEXT NOT NULL,
    access  TEXT NOT NULL,    -- read or policy
    note    TEXT NOT NULL,
    author  TEXT NOT NULL,
    hash    BLOB NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL, -- 0: never
    revoked INTEGER NOT NULL, -- 0: not revoked
    uses    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX admin_token_name ON admin_token (realm, name) WHERE revoked = 0;

-- nth counts the uses of one token, so that the oldest is found by its number.
CREATE TABLE admin_use (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    token     TEXT NOT NULL,
    nth       INTEGER NOT NULL,
    name      TEXT NOT NULL,
    realm     TEXT NOT NULL,
    time      INTEGER NOT NULL,
    ip        TEXT NOT NULL,
    request   TEXT NOT NULL,
    operation TEXT NOT NULL,
    detail    TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    UNIQUE (token, nth)
) STRICT;
CREATE INDEX admin_use_realm ON admin_use (realm, seq);
