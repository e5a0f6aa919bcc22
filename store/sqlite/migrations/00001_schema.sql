-- Times are unix milliseconds, 0 for none; lists and maps are JSON. Keys and
-- versions are never used again (AUTOINCREMENT, counter): what rests on a row
-- that is gone must not meet another in its place.

-- +goose Up
CREATE TABLE counter (
    name  TEXT PRIMARY KEY, -- generation: of all realms together; version: last one given to a row
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('generation', 0), ('version', 0);

CREATE TABLE realm (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    settings    TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    applying    INTEGER NOT NULL, -- a change began and its generation is yet to be raised
    fingerprint BLOB
) STRICT;

CREATE TABLE client (
    key             INTEGER PRIMARY KEY AUTOINCREMENT,
    realm           INTEGER NOT NULL REFERENCES realm,
    id              TEXT NOT NULL,
    uuid            TEXT NOT NULL,
    secret          BLOB,
    enabled         INTEGER NOT NULL,
    details         TEXT NOT NULL,
    origin          TEXT NOT NULL,
    UNIQUE (realm, id),
    UNIQUE (realm, uuid)
) STRICT;

CREATE TABLE user (
    key          INTEGER PRIMARY KEY AUTOINCREMENT,
    realm        INTEGER NOT NULL REFERENCES realm,
    id           TEXT NOT NULL,
    username     TEXT NOT NULL,
    folded       TEXT NOT NULL,
    password     TEXT NOT NULL,
    enabled      INTEGER NOT NULL,
    roles        TEXT NOT NULL,
    client_roles TEXT NOT NULL,
    groups       TEXT NOT NULL,
    claims       TEXT NOT NULL,
    origin       TEXT NOT NULL,
    version      INTEGER NOT NULL,
    UNIQUE (realm, id),
    UNIQUE (realm, folded)
) STRICT;

CREATE TABLE signing_key (
    realm   INTEGER NOT NULL REFERENCES realm,
    kid     TEXT NOT NULL,
    alg     TEXT NOT NULL,
    public  BLOB NOT NULL,
    sealed  BLOB NOT NULL,
    created INTEGER NOT NULL,
    active  INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (realm, kid)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX signing_key_active ON signing_key (realm, alg) WHERE active = 1;
CREATE INDEX signing_key_expires ON signing_key (expires) WHERE active = 0;

CREATE TABLE sealed (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Scopes that resource servers know.
CREATE TABLE scope (
    server INTEGER NOT NULL REFERENCES client,
    name   TEXT NOT NULL,
    id     TEXT NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (server, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX scope_id ON scope (server, id);

CREATE TABLE resource (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL,
    server        INTEGER NOT NULL REFERENCES client,
    owner         TEXT NOT NULL,
    own           INTEGER NOT NULL, -- the owner is the resource server itself
    name          TEXT NOT NULL,
    name_folded   TEXT NOT NULL,
    display_name  TEXT NOT NULL,
    type          TEXT NOT NULL,
    type_folded   TEXT NOT NULL,
    icon_uri      TEXT NOT NULL,
    uris          TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    owner_managed INTEGER NOT NULL,
    attributes    TEXT NOT NULL,
    origin        TEXT NOT NULL,
    drifted       INTEGER NOT NULL, -- a row of a file, changed over an API since
    version       INTEGER NOT NULL,
    UNIQUE (server, id),
    UNIQUE (server, owner, name)
) STRICT;
CREATE INDEX resource_name ON resource (server, name, id);
CREATE INDEX resource_owner_type ON resource (server, owner, type, name, id);
CREATE INDEX resource_type ON resource (server, type, own, name, id);

-- What resources are found by. These rows follow their resource (index.go).
CREATE TABLE resource_scope (
    server   INTEGER NOT NULL,
    scope    TEXT NOT NULL,
    name     TEXT NOT NULL,
    id       TEXT NOT NULL,
    resource INTEGER NOT NULL,
    PRIMARY KEY (server, scope, name, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE resource_uri (
    server   INTEGER NOT NULL,
    uri      TEXT NOT NULL, -- folded
    name     TEXT NOT NULL,
    id       TEXT NOT NULL,
    resource INTEGER NOT NULL,
    PRIMARY KEY (server, uri, name, id)
) STRICT, WITHOUT ROWID;

-- Of resources that the resource server owns itself.
CREATE TABLE uri_pattern (
    server INTEGER NOT NULL,
    key    TEXT NOT NULL,
    uri    TEXT NOT NULL, -- as registered
    id     TEXT NOT NULL,
    PRIMARY KEY (server, key, uri, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE uri_shape (
    server INTEGER NOT NULL,
    shape  TEXT NOT NULL,
    uses   INTEGER NOT NULL,
    PRIMARY KEY (server, shape)
) STRICT, WITHOUT ROWID;

CREATE TABLE type_scope (
    server INTEGER NOT NULL,
    type   TEXT NOT NULL,
    scope  TEXT NOT NULL,
    uses   INTEGER NOT NULL,
    PRIMARY KEY (server, type, scope)
) STRICT, WITHOUT ROWID;

-- Parts of names and types, folded, and the server as a word of its own.
CREATE VIRTUAL TABLE resource_part USING fts5 (
    server, name, type,
    content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);

CREATE TABLE request (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL,
    server        INTEGER NOT NULL REFERENCES client,
    resource      INTEGER NOT NULL REFERENCES resource ON DELETE CASCADE,
    resource_id   TEXT NOT NULL,
    resource_name TEXT NOT NULL,
    owner         TEXT NOT NULL,
    requester     TEXT NOT NULL,
    scope         TEXT NOT NULL, -- empty: the resource as a whole
    scope_id      TEXT NOT NULL,
    state         TEXT NOT NULL,
    created       INTEGER NOT NULL,
    decided       INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    UNIQUE (resource, requester, scope),
    UNIQUE (server, id)
) STRICT;
CREATE INDEX request_owner ON request (server, owner, id);
CREATE INDEX request_requester ON request (server, requester, id);
CREATE INDEX request_resource ON request (server, resource_id, id);
CREATE INDEX request_scope ON request (server, scope, id);
CREATE INDEX request_shared ON request (server, requester, resource_name, id) WHERE state = 'granted';
CREATE INDEX request_denied ON request (decided) WHERE state = 'denied';

CREATE TABLE ticket (
    realm       INTEGER NOT NULL,
    hash        BLOB NOT NULL,
    server      INTEGER NOT NULL,
    client      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    permissions TEXT NOT NULL,
    claims      TEXT NOT NULL,
    round       INTEGER NOT NULL,
    issued      INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    PRIMARY KEY (realm, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX ticket_expires ON ticket (expires);

CREATE TABLE session (
    realm   INTEGER NOT NULL,
    id      TEXT NOT NULL,
    user    TEXT NOT NULL,
    client  TEXT NOT NULL,
    scope   TEXT NOT NULL,
    started INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    ended   INTEGER NOT NULL,
    PRIMARY KEY (realm, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_user ON session (realm, user);
CREATE INDEX session_client ON session (realm, client);
CREATE INDEX session_expires ON session (expires);
CREATE INDEX session_ended ON session (realm, id) WHERE ended = 1;

CREATE TABLE refresh_token (
    realm   INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    session TEXT NOT NULL,
    client  TEXT NOT NULL,
    scope   TEXT NOT NULL,
    rpt     TEXT NOT NULL,
    expires INTEGER NOT NULL,
    spent   INTEGER NOT NULL,
    PRIMARY KEY (realm, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_token_expires ON refresh_token (expires);

CREATE TABLE revocation (
    realm   INTEGER NOT NULL,
    jti     TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (realm, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX revocation_expires ON revocation (expires);

CREATE TABLE rpt (
    realm        INTEGER NOT NULL,
    jti          TEXT NOT NULL,
    session      TEXT NOT NULL,
    subject      TEXT NOT NULL,
    client       TEXT NOT NULL,
    server       INTEGER NOT NULL,
    permissions  TEXT NOT NULL,
    revision     TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    user_version INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    keep         INTEGER NOT NULL,
    PRIMARY KEY (realm, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX rpt_keep ON rpt (keep);

CREATE TABLE decision (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    batch    TEXT NOT NULL,
    realm    TEXT NOT NULL,
    time     INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    subject  TEXT NOT NULL,
    client   TEXT NOT NULL,
    server   TEXT NOT NULL,
    resource TEXT NOT NULL,
    revision TEXT NOT NULL,
    rules    TEXT NOT NULL,
    encoding INTEGER NOT NULL, -- of event; 0: as it is
    event    BLOB NOT NULL
) STRICT;
CREATE INDEX decision_time ON decision (time);
CREATE INDEX decision_realm ON decision (realm);
CREATE INDEX decision_subject ON decision (subject);
CREATE INDEX decision_client ON decision (client);
CREATE INDEX decision_resource ON decision (resource);
CREATE INDEX decision_outcome ON decision (outcome);
CREATE INDEX decision_revision ON decision (revision);

CREATE TABLE decision_rule (
    rule TEXT NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (rule, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE revision (
    hash    TEXT PRIMARY KEY,
    realm   TEXT NOT NULL,
    sources TEXT NOT NULL,
    since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
