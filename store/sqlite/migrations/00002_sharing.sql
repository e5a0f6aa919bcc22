-- What owners share: user-managed policies, and what their account pages read.

-- +goose Up
ALTER TABLE resource ADD COLUMN texts TEXT NOT NULL DEFAULT ''; -- empty for none
ALTER TABLE rpt ADD COLUMN family TEXT NOT NULL DEFAULT ''; -- jti of the first, of a refreshed copy
ALTER TABLE rpt ADD COLUMN within TEXT NOT NULL DEFAULT ''; -- jti of the access token in it
ALTER TABLE rpt ADD COLUMN ticket BLOB;
CREATE INDEX rpt_family ON rpt (family) WHERE family <> '';
ALTER TABLE ticket ADD COLUMN interval INTEGER NOT NULL DEFAULT 0; -- milliseconds

-- User-managed policies. A granted request is a share too, of one scope for one user.
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
    audience    INTEGER NOT NULL, -- version at which it last changed whom it is for, other than by adding
    UNIQUE (server, id),
    UNIQUE (server, owner, name)
) STRICT;
CREATE INDEX share_resource ON share (resource, owner, name);

-- What shares are found by: the parties that they may be for (parties.go).
CREATE TABLE share_party (
    resource INTEGER NOT NULL,
    party    TEXT NOT NULL, -- u:ID, g:/GROUP, r:ROLE, c:CLIENT
    share    INTEGER NOT NULL REFERENCES share ON DELETE CASCADE,
    PRIMARY KEY (resource, party, share)
) STRICT, WITHOUT ROWID;
CREATE INDEX share_party_share ON share_party (share);
CREATE INDEX share_party_party ON share_party (party, share);

-- Parts of their names, as resource_part has those of resources. Shares also go with
-- their resource, where no statement of the store sees it: so these rows follow by
-- triggers.
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

-- Lists of what was granted go by the name of the resource, from one resource to the
-- next; lists of what is asked for by id, or by resource.
DROP INDEX request_shared;
CREATE INDEX request_shared ON request (server, requester, resource_name, resource_id, id) WHERE state = 'granted';
CREATE INDEX request_granted ON request (server, owner, resource_name, resource_id) WHERE state = 'granted';
CREATE INDEX request_between ON request (server, owner, requester, resource_name, resource_id) WHERE state = 'granted';
CREATE INDEX request_asked ON request (owner, id) WHERE state = 'pending';
CREATE INDEX request_asking ON request (requester, id) WHERE state = 'pending';
CREATE INDEX request_pending ON request (resource, requester, scope) WHERE state = 'pending';

-- Lists of requests and their counts: whatever they go by, each state is a range in the
-- order of ids, so that what is left out is not read.
DROP INDEX request_owner;
DROP INDEX request_requester;
DROP INDEX request_resource;
CREATE INDEX request_state ON request (server, state, id);
CREATE INDEX request_owner ON request (server, owner, state, id);
CREATE INDEX request_requester ON request (server, requester, state, id);
CREATE INDEX request_pair ON request (server, owner, requester, state, id);
CREATE INDEX request_resource ON request (resource, state, id);

CREATE INDEX client_server ON client (realm) WHERE json_extract(details, '$.resource_server');
CREATE INDEX user_email ON user (realm, lower(json_extract(claims, '$.email')));

-- Tickets that were traded for an RPT, as long as that is of use.
CREATE TABLE spent_ticket (
    realm   INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    client  TEXT NOT NULL, -- that presented it
    rpt     TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (realm, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_ticket_expires ON spent_ticket (expires);
