-- What finds records by request, and what removes old ones: see retention.go.

-- +goose Up
ALTER TABLE decision ADD COLUMN request TEXT NOT NULL DEFAULT ''; -- '': from before this column
CREATE INDEX decision_request ON decision (request) WHERE request <> '';
CREATE INDEX decision_by_shared ON decision (shared) WHERE shared IS NOT NULL;
ALTER TABLE revision ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0; -- when another came into force in its place; 0: never
