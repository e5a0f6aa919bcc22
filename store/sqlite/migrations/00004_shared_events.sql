-- What the events of one request repeat is stored once: see events.go.

-- +goose Up
CREATE TABLE decision_shared (
    key   INTEGER PRIMARY KEY,
    parts BLOB NOT NULL
) STRICT;
ALTER TABLE decision ADD COLUMN shared INTEGER; -- of decision_shared, completes event; NULL: it is whole
