-- Which server does the work of which only one may do at a time.

-- +goose Up

CREATE TABLE lease (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    ends   INTEGER NOT NULL -- by the clock of the store
) STRICT, WITHOUT ROWID;
