-- What the client was told, beside what was decided of each permission.

-- +goose Up
ALTER TABLE decision ADD COLUMN answered TEXT NOT NULL DEFAULT ''; -- '': from before this column
