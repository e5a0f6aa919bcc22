-- What the gates compare a policy with, and what they found in it.

-- +goose Up

-- The names in the realm file that was applied last: see policynames.go. Empty: they are not
-- kept.
ALTER TABLE realm ADD COLUMN names TEXT NOT NULL DEFAULT '';

-- Reports and findings are JSON, empty without any.
ALTER TABLE policy_period ADD COLUMN report TEXT NOT NULL DEFAULT '';
ALTER TABLE policy_proposal ADD COLUMN report TEXT NOT NULL DEFAULT '';
