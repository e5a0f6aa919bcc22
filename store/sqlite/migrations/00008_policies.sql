-- Which revision of its policy each realm is decided by: what a start compares the
-- policy folder with, and what is served without the folder.

-- +goose Up
CREATE TABLE policy_in_force (
    realm TEXT PRIMARY KEY,
    hash  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Until now it was not written down; mostly it is the newest.
INSERT INTO policy_in_force (realm, hash)
    SELECT realm, hash FROM (SELECT realm, hash, max(since) FROM revision GROUP BY realm);
