-- Removals that are too large for one transaction: see remove.go.

-- +goose Up
CREATE TABLE dropped (
    resource INTEGER PRIMARY KEY -- that is gone, and has rows that are yet to be swept
) STRICT;

-- Those rows outlive what they refer to. A constraint is taken away by changing the
-- text of its table (https://sqlite.org/lang_altertable.html, section 7): to make the
-- table anew would copy every row.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(sql, ' REFERENCES client', ''), ' REFERENCES resource ON DELETE CASCADE', '')
    WHERE type = 'table' AND name = 'request';
UPDATE sqlite_schema SET sql = replace(sql, ' REFERENCES share ON DELETE CASCADE', '')
    WHERE type = 'table' AND name = 'share_party';
PRAGMA writable_schema = RESET;

-- What may be read of request. While nothing is dropped, as nearly always, the second
-- condition is not looked at, nor the row for it: an index alone still does.
CREATE VIEW live_request AS SELECT q.* FROM request q
    WHERE NOT EXISTS (SELECT 1 FROM dropped) OR q.resource NOT IN (SELECT resource FROM dropped);

-- What is not many goes with what it belongs to.
-- +goose StatementBegin
CREATE TRIGGER request_delete AFTER DELETE ON resource WHEN old.key NOT IN (SELECT resource FROM dropped) BEGIN
    DELETE FROM request WHERE resource = old.key;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER share_party_delete AFTER DELETE ON share WHEN old.resource NOT IN (SELECT resource FROM dropped) BEGIN
    DELETE FROM share_party WHERE share = old.key;
END;
-- +goose StatementEnd
