-- +goose Up

-- Where decision records are delivered to, and how far that has come.
CREATE TABLE sink (
    name      TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,
    realm     TEXT NOT NULL,    -- whose records; empty for those of all realms
    target    TEXT NOT NULL,    -- a path or a URL, as it is shown
    hold      INTEGER NOT NULL, -- milliseconds that retention waits
    holder    TEXT NOT NULL,    -- the server that delivers
    cursor    INTEGER NOT NULL, -- seq of the last record that was delivered
    delivered INTEGER NOT NULL, -- when that was
    failed    INTEGER NOT NULL, -- when delivery last failed
    problem   TEXT NOT NULL,    -- why it fails; empty if it does not
    skipped   INTEGER NOT NULL,
    cut       INTEGER NOT NULL  -- records that were removed before they were delivered
) STRICT, WITHOUT ROWID;
