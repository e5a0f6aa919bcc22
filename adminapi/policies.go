package adminapi

import (
	"context"
	"strings"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// MostRows is how many rows a page of a list has at most.
const MostRows = 200

// A Period is a time in which one revision was a realm's policy.
type Period struct {
	Revision string     `json:"revision"`
	Since    time.Time  `json:"since"`
	Until    *time.Time `json:"until"` // null: in force
	By       string     `json:"by"`
	Source   string     `json:"source"`
	Note     string     `json:"note"`
	Pinned   bool       `json:"pinned"`
	Active   bool       `json:"active"`
}

// NewPeriod returns a stored period.
func NewPeriod(p uma.Period) Period {
	row := Period{
		Revision: p.Revision, Since: p.Since.UTC(), By: p.By, Source: p.Source, Note: p.Note, Pinned: p.Pinned, Active: p.Until.IsZero(),
	}
	if !row.Active {
		until := p.Until.UTC()
		row.Until = &until
	}
	return row
}

// A HistoryRow is a period in a history. The JSON of a history on the command line is that of
// its periods.
type HistoryRow struct {
	Period
	ConfirmBy *time.Time `json:"confirm_by,omitempty"` // it is rolled back then, unless it is confirmed
}

// NewHistoryRow returns a stored period.
func NewHistoryRow(p uma.Period) HistoryRow {
	row := HistoryRow{Period: NewPeriod(p)}
	if !p.ConfirmBy.IsZero() {
		at := p.ConfirmBy.UTC()
		row.ConfirmBy = &at
	}
	return row
}

// A Status is the policy of a realm.
type Status struct {
	Realm    string    `json:"realm"`
	Mode     string    `json:"mode"`     // automatic or manual
	Policy   *Active   `json:"policy"`   // null: none in force yet
	Proposal *Proposal `json:"proposal"` // null: none waits, and none was refused
}

// An Active is the period in force.
type Active struct {
	Period
	ConfirmBy *time.Time      `json:"confirm_by"` // null: it stays
	Report    *rollout.Report `json:"report"`     // of the gates that it passed; null: none ran
}

// A Proposal is the content of a policy source that is not in force.
type Proposal struct {
	Source  string    `json:"source"`
	Since   time.Time `json:"since"`
	Problem string    `json:"problem"`

	Findings []rollout.FindingRow `json:"findings"` // of the gates that refused it
}

// Status returns the policy of a realm.
func (l *Local) Status(ctx context.Context, realm string) (*Status, error) {
	row := &Status{Realm: realm, Mode: "automatic"}
	s, err := l.Store.Snapshot(ctx, realm, l.Now())
	if err != nil {
		return nil, RealmError(ctx, l.Store, realm, err)
	}
	if s.Realm.Policy.Manual {
		row.Mode = "manual"
	}
	state, err := l.Store.PolicyState(ctx, realm)
	if err != nil {
		return nil, err
	}
	if state.Active != nil {
		active := NewHistoryRow(*state.Active)
		report, err := rollout.ParseReport(state.Active.Report)
		if err != nil {
			return nil, err
		}
		row.Policy = &Active{active.Period, active.ConfirmBy, report}
	}
	if w := state.Waiting; w.Problem != "" {
		row.Proposal = &Proposal{Source: w.Source, Since: w.At.UTC(), Problem: w.Problem, Findings: []rollout.FindingRow{}}
		report, err := rollout.ParseReport(w.Report)
		if err != nil {
			return nil, err
		}
		if report != nil {
			row.Proposal.Findings = report.Findings
		}
	}
	return row, nil
}

// History returns at most limit periods of a realm, newest first, and where the next page
// begins: what before is then, 0 after the last page.
func (l *Local) History(ctx context.Context, realm string, before int64, limit int) (page []HistoryRow, next int64, err error) {
	periods, err := l.Store.PolicyPeriods(ctx, realm, uma.Key(before), limit)
	if err != nil {
		return nil, 0, err
	}
	page = make([]HistoryRow, len(periods))
	for i := range periods {
		page[i] = NewHistoryRow(periods[i])
	}
	if len(periods) == limit {
		next = int64(periods[limit-1].Key)
	}
	return page, next, nil
}

// EachPeriod calls f with the periods of a realm, newest first.
func EachPeriod(ctx context.Context, store uma.Revisions, realm string, f func(uma.Period) error) error {
	for last := uma.Key(0); ; {
		periods, err := store.PolicyPeriods(ctx, realm, last, MostRows)
		if err != nil {
			return err
		}
		for _, p := range periods {
			if err := f(p); err != nil {
				return err
			}
		}
		if len(periods) < MostRows {
			return nil
		}
		last = periods[len(periods)-1].Key
	}
}

// FindRevision returns the revision of a realm with that hash, or whose hash begins so.
func FindRevision(ctx context.Context, store uma.Revisions, realm, start string) (string, error) {
	if start == "" {
		return "", admin.Errorf(admin.InvalidRequest, "a revision is missing: `umpire policy history` lists them")
	}
	found := map[string]bool{}
	err := EachPeriod(ctx, store, realm, func(p uma.Period) error {
		if strings.HasPrefix(p.Revision, start) {
			found[p.Revision] = true
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	switch {
	case len(found) > 1:
		return "", admin.Errorf(admin.InvalidRequest, "several revisions of realm %s begin with %q: give more of the hash", realm, start)
	case len(found) == 1:
		for hash := range found {
			return hash, nil
		}
	}
	return "", admin.Errorf(admin.InvalidRequest, "realm %s has no revision %q, and there is no such folder: `umpire policy history` lists the revisions", realm, start)
}
