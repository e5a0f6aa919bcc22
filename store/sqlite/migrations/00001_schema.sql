-- The whole schema, in this order: the file, realms, resources and the tables that find
-- them, requests, user-managed policies, tickets and tokens, decision records.
--
-- Times are unix milliseconds, 0 for none. Lists and maps are JSON. A column named key
-- is the primary key that other tables refer to; id is what clients know a row by.
-- Keys and versions are never used again (AUTOINCREMENT, counter): a grant that rests
-- on a deleted row must not find another row with the same key or version.

-- +goose Up

-- "umpr" in ASCII. Databases of earlier, unreleased builds have 0: see migrate.go.
PRAGMA application_id = 0x756d7072;

CREATE TABLE counter (
    name  TEXT PRIMARY KEY, -- generation: of all realms together; version: last one given to a row; probe: see health.go
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('generation', 0), ('version', 0);

-- == Realms: the content of realm files, and keys

CREATE TABLE realm (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    settings    TEXT NOT NULL,    -- see realms.go
    generation  INTEGER NOT NULL,
    applying    INTEGER NOT NULL, -- 1 from the first batch of a change to the last, which raises the generation
    fingerprint BLOB              -- of the realm file that was applied last; NULL while applying
) STRICT;

CREATE TABLE client (
    key             INTEGER PRIMARY KEY AUTOINCREMENT,
    realm           INTEGER NOT NULL REFERENCES realm,
    id              TEXT NOT NULL, -- client_id
    uuid            TEXT NOT NULL, -- the owner of a resource server's own resources
    secret          BLOB,
    enabled         INTEGER NOT NULL,
    details         TEXT NOT NULL, -- see realms.go
    origin          TEXT NOT NULL,
    UNIQUE (realm, id),
    UNIQUE (realm, uuid)
) STRICT;
CREATE INDEX client_server ON client (realm) WHERE json_extract(details, '$.resource_server');

CREATE TABLE user (
    key          INTEGER PRIMARY KEY AUTOINCREMENT,
    realm        INTEGER NOT NULL REFERENCES realm,
    id           TEXT NOT NULL, -- the subject of tokens
    username     TEXT NOT NULL,
    folded       TEXT NOT NULL, -- username in lower case
    password     TEXT NOT NULL, -- a hash
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
CREATE INDEX user_email ON user (realm, lower(json_extract(claims, '$.email')));

CREATE TABLE signing_key (
    realm   INTEGER NOT NULL REFERENCES realm,
    kid     TEXT NOT NULL,
    alg     TEXT NOT NULL,
    public  BLOB NOT NULL,
    sealed  BLOB NOT NULL,    -- the private key, sealed by the key file
    created INTEGER NOT NULL,
    active  INTEGER NOT NULL, -- 1: signs; 0: only verifies, until it expires
    expires INTEGER NOT NULL,
    PRIMARY KEY (realm, kid)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX signing_key_active ON signing_key (realm, alg) WHERE active = 1;
CREATE INDEX signing_key_expires ON signing_key (expires) WHERE active = 0;

-- Secrets of the server, sealed by the key file.
CREATE TABLE sealed (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- == Resources, and the tables that find them. A column named server is a client that
-- is a resource server.

-- The scopes that a resource server knows.
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
    owner         TEXT NOT NULL,    -- the id of a user, or the uuid of the resource server
    own           INTEGER NOT NULL, -- 1: the owner is the resource server itself
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
    drifted       INTEGER NOT NULL, -- 1: came from a realm file and was changed over an API since
    version       INTEGER NOT NULL,
    texts         TEXT NOT NULL DEFAULT '', -- empty for none
    UNIQUE (server, id),
    UNIQUE (server, owner, name)
) STRICT;
CREATE INDEX resource_name ON resource (server, name, id);
CREATE INDEX resource_owner_type ON resource (server, owner, type, name, id);
CREATE INDEX resource_type ON resource (server, type, own, name, id);

-- One row for each scope of a resource, and one for each URI. index.go writes the rows
-- of these tables and of the next three whenever it writes their resource. registered
-- is uma.Registered: a URI or scope that a user registered must not answer for the
-- resource server.
CREATE TABLE resource_scope (
    server     INTEGER NOT NULL,
    scope      TEXT NOT NULL,
    name       TEXT NOT NULL, -- name and id are those of the resource
    id         TEXT NOT NULL,
    resource   INTEGER NOT NULL,
    registered INTEGER NOT NULL DEFAULT 2,
    PRIMARY KEY (server, scope, name, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX resource_scope_registered ON resource_scope (server, scope, registered, name, id);

CREATE TABLE resource_uri (
    server     INTEGER NOT NULL,
    uri        TEXT NOT NULL, -- folded
    name       TEXT NOT NULL, -- name and id are those of the resource
    id         TEXT NOT NULL,
    resource   INTEGER NOT NULL,
    registered INTEGER NOT NULL DEFAULT 2,
    PRIMARY KEY (server, uri, name, id)
) STRICT, WITHOUT ROWID;

-- The URIs and URI patterns of resources that the resource server owns itself.
CREATE TABLE uri_pattern (
    server INTEGER NOT NULL,
    key    TEXT NOT NULL, -- uripath.Key
    uri    TEXT NOT NULL, -- as registered
    id     TEXT NOT NULL, -- of the resource
    PRIMARY KEY (server, key, uri, id)
) STRICT, WITHOUT ROWID;

-- How many URI patterns have a shape (uripath.Key).
CREATE TABLE uri_shape (
    server INTEGER NOT NULL,
    shape  TEXT NOT NULL,
    uses   INTEGER NOT NULL,
    PRIMARY KEY (server, shape)
) STRICT, WITHOUT ROWID;

-- How many resources of a type have a scope, of those that the resource server owns itself.
CREATE TABLE type_scope (
    server INTEGER NOT NULL,
    type   TEXT NOT NULL,
    scope  TEXT NOT NULL,
    uses   INTEGER NOT NULL,
    PRIMARY KEY (server, type, scope)
) STRICT, WITHOUT ROWID;

-- Finds parts of names and types. Both are folded; server is serverWord of index.go.
CREATE VIRTUAL TABLE resource_part USING fts5 (
    server, name, type,
    content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);

-- Deleted resources that still have rows in request or share_party: too many for one
-- transaction. The sweep deletes those rows in batches: see remove.go.
CREATE TABLE dropped (
    resource INTEGER PRIMARY KEY
) STRICT;

-- == Requests: what a requesting party asked an owner for. A granted request is a share
-- of one scope with one user.

-- server and resource have no constraints: rows of a dropped resource outlive it.
CREATE TABLE request (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL,
    server        INTEGER NOT NULL,
    resource      INTEGER NOT NULL,
    resource_id   TEXT NOT NULL,
    resource_name TEXT NOT NULL,
    owner         TEXT NOT NULL,
    requester     TEXT NOT NULL,
    scope         TEXT NOT NULL, -- empty: the resource as a whole
    scope_id      TEXT NOT NULL,
    state         TEXT NOT NULL, -- pending, granted or denied
    created       INTEGER NOT NULL,
    decided       INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    UNIQUE (resource, requester, scope),
    UNIQUE (server, id)
) STRICT;
CREATE INDEX request_scope ON request (server, scope, id);
CREATE INDEX request_denied ON request (decided) WHERE state = 'denied';

-- Granted requests are listed in the order of resource names.
CREATE INDEX request_shared ON request (server, requester, resource_name, resource_id, id) WHERE state = 'granted';
CREATE INDEX request_granted ON request (server, owner, resource_name, resource_id) WHERE state = 'granted';
CREATE INDEX request_between ON request (server, owner, requester, resource_name, resource_id) WHERE state = 'granted';

-- Pending requests are listed by id, or by resource.
CREATE INDEX request_asked ON request (owner, id) WHERE state = 'pending';
CREATE INDEX request_asking ON request (requester, id) WHERE state = 'pending';
CREATE INDEX request_pending ON request (resource, requester, scope) WHERE state = 'pending';

-- Lists and counts with a filter. In each index the requests of one state are a range
-- in the order of ids, so that no request of another state is read.
CREATE INDEX request_state ON request (server, state, id);
CREATE INDEX request_owner ON request (server, owner, state, id);
CREATE INDEX request_requester ON request (server, requester, state, id);
CREATE INDEX request_pair ON request (server, owner, requester, state, id);
CREATE INDEX request_resource ON request (resource, state, id);

-- Requests are read through this view, which leaves out those of dropped resources.
-- While nothing is dropped, the usual case, SQLite evaluates only the first condition,
-- which needs no row of request: a query that an index covers reads the index alone.
CREATE VIEW live_request AS SELECT q.* FROM request q
    WHERE NOT EXISTS (SELECT 1 FROM dropped) OR q.resource NOT IN (SELECT resource FROM dropped);

-- The requests of a resource are deleted with it, unless it is dropped.
-- +goose StatementBegin
CREATE TRIGGER request_delete AFTER DELETE ON resource WHEN old.key NOT IN (SELECT resource FROM dropped) BEGIN
    DELETE FROM request WHERE resource = old.key;
END;
-- +goose StatementEnd

-- == User-managed policies (uma-policy), called shares here

CREATE TABLE share (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL,
    server      INTEGER NOT NULL REFERENCES client,
    resource    INTEGER NOT NULL REFERENCES resource ON DELETE CASCADE,
    resource_id TEXT NOT NULL,
    owner       TEXT NOT NULL,
    name        TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    description TEXT NOT NULL,
    scopes      TEXT NOT NULL, -- empty: the resource as a whole
    users       TEXT NOT NULL,
    roles       TEXT NOT NULL,
    groups      TEXT NOT NULL,
    clients     TEXT NOT NULL,
    strategy    TEXT NOT NULL,
    version     INTEGER NOT NULL,
    audience    INTEGER NOT NULL, -- the version of the last change of its parties, unless it only added some
    UNIQUE (server, id),
    UNIQUE (server, owner, name)
) STRICT;
CREATE INDEX share_resource ON share (resource, owner, name);

-- The parties that shares are found by: see parties.go. share has no constraint: rows
-- of a dropped resource outlive their share.
CREATE TABLE share_party (
    resource INTEGER NOT NULL,
    party    TEXT NOT NULL, -- u:ID, g:/GROUP, r:ROLE, c:CLIENT
    share    INTEGER NOT NULL,
    PRIMARY KEY (resource, party, share)
) STRICT, WITHOUT ROWID;
CREATE INDEX share_party_share ON share_party (share);
CREATE INDEX share_party_party ON share_party (party, share);

-- The parties of a share are deleted with it, unless its resource is dropped.
-- +goose StatementBegin
CREATE TRIGGER share_party_delete AFTER DELETE ON share WHEN old.resource NOT IN (SELECT resource FROM dropped) BEGIN
    DELETE FROM share_party WHERE share = old.key;
END;
-- +goose StatementEnd

-- Finds parts of names of shares, as resource_part does for resources. Triggers write
-- it, because a share is also deleted by the cascade from its resource.
CREATE VIRTUAL TABLE share_part USING fts5 (
    server, name,
    content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);
-- +goose StatementBegin
CREATE TRIGGER share_part_insert AFTER INSERT ON share BEGIN
    INSERT INTO share_part (rowid, server, name) VALUES (new.key, '#' || new.server || '#', new.name_folded);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER share_part_update AFTER UPDATE OF name_folded ON share WHEN new.name_folded <> old.name_folded BEGIN
    DELETE FROM share_part WHERE rowid = old.key;
    INSERT INTO share_part (rowid, server, name) VALUES (new.key, '#' || new.server || '#', new.name_folded);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER share_part_delete AFTER DELETE ON share BEGIN
    DELETE FROM share_part WHERE rowid = old.key;
END;
-- +goose StatementEnd

-- == Tickets and tokens. hash is the digest of a ticket or refresh token, which is not
-- stored itself. The sweep deletes expired rows.

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
    interval    INTEGER NOT NULL DEFAULT 0, -- milliseconds
    PRIMARY KEY (realm, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX ticket_expires ON ticket (expires);

-- Tickets that were traded for an RPT, until that RPT is deleted.
CREATE TABLE spent_ticket (
    realm   INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    client  TEXT NOT NULL, -- that presented it
    rpt     TEXT NOT NULL, -- jti
    expires INTEGER NOT NULL,
    PRIMARY KEY (realm, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_ticket_expires ON spent_ticket (expires);

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
    rpt     TEXT NOT NULL,    -- jti of the RPT that it renews; empty for an access token
    expires INTEGER NOT NULL,
    spent   INTEGER NOT NULL, -- 1: a second use ends the session
    PRIMARY KEY (realm, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_token_expires ON refresh_token (expires);

-- Revoked tokens, until a day after they expire.
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
    keep         INTEGER NOT NULL, -- when the row may be deleted
    family       TEXT NOT NULL DEFAULT '', -- of a refreshed RPT: jti of the first
    within       TEXT NOT NULL DEFAULT '', -- jti of the access token that it is part of
    ticket       BLOB, -- hash of the ticket that it was issued for
    PRIMARY KEY (realm, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX rpt_keep ON rpt (keep);
CREATE INDEX rpt_family ON rpt (family) WHERE family <> '';

-- == Decision records, and the policies that they were decided by

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
    revision TEXT NOT NULL, -- hash of a row of revision
    rules    TEXT NOT NULL,
    encoding INTEGER NOT NULL, -- of event; 0: as it is
    event    BLOB NOT NULL,
    shared   INTEGER, -- key of the row of decision_shared that event needs; NULL for none
    request  TEXT NOT NULL DEFAULT '', -- id of the HTTP request
    answered TEXT NOT NULL DEFAULT '' -- what the client was told
) STRICT;
CREATE INDEX decision_time ON decision (time);
CREATE INDEX decision_realm ON decision (realm);
CREATE INDEX decision_subject ON decision (subject);
CREATE INDEX decision_client ON decision (client);
CREATE INDEX decision_resource ON decision (resource);
CREATE INDEX decision_outcome ON decision (outcome);
CREATE INDEX decision_revision ON decision (revision);
CREATE INDEX decision_request ON decision (request) WHERE request <> '';
CREATE INDEX decision_by_shared ON decision (shared) WHERE shared IS NOT NULL;

-- The parts that events of one HTTP request have in common: see events.go.
CREATE TABLE decision_shared (
    key   INTEGER PRIMARY KEY,
    parts BLOB NOT NULL
) STRICT;

-- Finds records by rule: one row for each rule of a record.
CREATE TABLE decision_rule (
    rule TEXT NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (rule, seq)
) STRICT, WITHOUT ROWID;

-- The sources of policies that records name. Realms with the same sources share a row.
CREATE TABLE revision (
    hash     TEXT PRIMARY KEY,
    realm    TEXT NOT NULL,
    sources  TEXT NOT NULL,
    since    INTEGER NOT NULL,
    replaced INTEGER NOT NULL DEFAULT 0 -- when another revision replaced it; 0: never
) STRICT, WITHOUT ROWID;

-- The revision that each realm is decided by. A start compares the policy folder with
-- it, and decides by it if the folder cannot be used.
CREATE TABLE policy_in_force (
    realm TEXT PRIMARY KEY,
    hash  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
