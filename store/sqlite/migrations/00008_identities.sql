-- Parties of trusted issuers, invitations for e-mail addresses, what clients authenticated
-- with, and gathered claims.

-- +goose Up

-- Every issuer that the realm trusts or has trusted: its alias is never given to another.
CREATE TABLE issuer (
    key   INTEGER PRIMARY KEY AUTOINCREMENT,
    realm INTEGER NOT NULL REFERENCES realm,
    alias TEXT NOT NULL,
    url   TEXT NOT NULL,
    UNIQUE (realm, alias),
    UNIQUE (realm, url)
) STRICT;

-- How issuers know users.
CREATE TABLE identity (
    key     INTEGER PRIMARY KEY AUTOINCREMENT,
    issuer  INTEGER NOT NULL REFERENCES issuer,
    subject TEXT NOT NULL,
    user    INTEGER NOT NULL REFERENCES user,
    service INTEGER NOT NULL, -- 1: the subject of an application's own tokens
    UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX identity_user ON identity (user, key);

-- The identity of a party, NULL for a local user. Other identities of a user are linked to it.
ALTER TABLE user ADD COLUMN identity INTEGER REFERENCES identity;
CREATE INDEX user_party ON user (realm, folded) WHERE identity IS NOT NULL;

-- Shares with e-mail addresses. Scopes that the resource loses are taken from its rows.
CREATE TABLE invitation (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL,
    realm    INTEGER NOT NULL REFERENCES realm,
    resource INTEGER NOT NULL REFERENCES resource ON DELETE CASCADE,
    owner    TEXT NOT NULL,
    email    TEXT NOT NULL, -- lower case (of ASCII)
    scopes   TEXT NOT NULL, -- empty: the resource as a whole
    created  INTEGER NOT NULL,
    taken_by TEXT NOT NULL, -- id of the user; empty: nobody yet
    taken    INTEGER NOT NULL
) STRICT;
CREATE INDEX invitation_resource ON invitation (resource, email);
CREATE INDEX invitation_open ON invitation (realm, email, key) WHERE taken_by = '';
CREATE UNIQUE INDEX invitation_owner ON invitation (realm, owner, id);

-- Ids of assertions by which clients authenticated, until those have expired.
CREATE TABLE spent_assertion (
    realm   INTEGER NOT NULL,
    client  INTEGER NOT NULL,
    id      BLOB NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (realm, client, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_assertion_expires ON spent_assertion (expires);

-- The claims that earlier rounds gathered, sealed; NULL for none.
ALTER TABLE ticket ADD COLUMN gathered BLOB;
