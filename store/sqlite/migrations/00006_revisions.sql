-- What an activation of a policy ends.

-- +goose Up

-- RPTs of a revision that were granted up to a generation of the realm are inactive: one row,
-- however many there are.
CREATE TABLE withdrawn_revision (
    realm      INTEGER NOT NULL,
    revision   TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (realm, revision)
) STRICT, WITHOUT ROWID;
