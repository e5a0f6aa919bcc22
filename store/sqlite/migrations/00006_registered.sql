-- Who registered the URIs and scopes that resources are found by: what a user registers
-- must not answer for the resource server (uma.Registered).

-- +goose Up
ALTER TABLE resource_uri ADD COLUMN registered INTEGER NOT NULL DEFAULT 2;
ALTER TABLE resource_scope ADD COLUMN registered INTEGER NOT NULL DEFAULT 2;
UPDATE resource_uri SET registered = 1 WHERE resource IN (SELECT key FROM resource WHERE own = 1);
UPDATE resource_scope SET registered = 1 WHERE resource IN (SELECT key FROM resource WHERE own = 1);
CREATE INDEX resource_scope_registered ON resource_scope (server, scope, registered, name, id);
