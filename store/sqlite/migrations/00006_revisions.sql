-- What an activation of a policy ends, and until when it must be confirmed.

-- +goose Up

-- RPTs of a revision that were granted up to a generation of the realm are inactive: one row,
-- however many there are.
CREATE TABLE withdrawn_revision (
    realm      INTEGER NOT NULL,
    revision   TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (realm, revision)
) STRICT, WITHOUT ROWID;

-- When a period is rolled back; 0: it needs no confirmation, or was confirmed.
ALTER TABLE policy_period ADD COLUMN confirm_by INTEGER NOT NULL DEFAULT 0;
