package audit

import (
	"slices"

	"example.com/umpire/uma"
)

// An ImpactReport is a Report as programs read it, with the newest changes.
type ImpactReport struct {
	Baseline  string      `json:"baseline"` // the hash of a revision, or recorded
	Replayed  int         `json:"replayed"`
	Unchanged int         `json:"unchanged"`
	Failed    int         `json:"failed"`
	Inexact   int         `json:"inexact"`
	Skipped   int         `json:"skipped"`
	Requests  int         `json:"requests_affected"`
	Granted   int         `json:"newly_granted"`
	Refused   int         `json:"newly_refused"`
	Different int         `json:"different"`
	Changes   []ChangeRow `json:"changes"` // newest first
	Omitted   int         `json:"changes_omitted"`
}

// NewImpactReport makes the report of some counts and changes.
func NewImpactReport(baseline string, r *Report, changes *NewestChanges) *ImpactReport {
	return &ImpactReport{
		baseline, r.Replayed, r.Unchanged, r.Failed, r.Inexact, r.Skipped, r.Requests, r.Granted, r.Refused, r.Different,
		changes.rows(), changes.omitted,
	}
}

// A ChangeRow is a Change as programs read it.
type ChangeRow struct {
	ID           string    `json:"decision_id"`
	Subject      string    `json:"subject"`
	Username     string    `json:"username"`
	Client       string    `json:"client"`
	Resource     string    `json:"resource"`
	ResourceName string    `json:"resource_name"`
	Scope        uma.Scope `json:"scope"`
	Was          State     `json:"was"`
	Now          State     `json:"now"`
	RulesWas     []string  `json:"rules_was"`
	RulesNow     []string  `json:"rules_now"`
}

// NewChangeRow makes the row of a change.
func NewChangeRow(c *Change) ChangeRow {
	d := c.Decision
	return ChangeRow{d.ID, d.Subject, d.Username, d.Client, d.Resource, d.Name, c.Scope, c.Was, c.Now, c.RulesWas, c.RulesNow}
}

// NewestChanges keeps the newest changes of a run, at most limit.
type NewestChanges struct {
	limit      int
	descending bool
	kept       []ChangeRow // in the order in which they came, from next on
	next       int         // where the next row goes, once there are limit
	omitted    int
}

// NewNewestChanges makes an empty list. Descending: the run begins with the newest event.
func NewNewestChanges(limit int, descending bool) *NewestChanges {
	return &NewestChanges{limit: limit, descending: descending}
}

// Add adds the next change of the run.
func (l *NewestChanges) Add(row ChangeRow) {
	switch {
	case len(l.kept) < l.limit:
		l.kept = append(l.kept, row)
		return
	case l.limit > 0 && !l.descending:
		l.kept[l.next] = row
		l.next = (l.next + 1) % l.limit
	}
	l.omitted++
}

// rows are the changes, newest first.
func (l *NewestChanges) rows() []ChangeRow {
	rows := append(append([]ChangeRow{}, l.kept[l.next:]...), l.kept[:l.next]...)
	if !l.descending {
		slices.Reverse(rows)
	}
	return rows
}
