package rows

import (
	"slices"

	"example.com/umpire/uma"
)

// MatchesRecord reports whether a filter describes a record, except for its number.
func MatchesRecord(r *uma.Record, f *uma.DecisionFilter) bool {
	for _, key := range [...][2]string{
		{f.Realm, r.Realm}, {f.Subject, r.Subject}, {f.Client, r.Client}, {f.Outcome, r.Outcome},
		{string(f.Resource), string(r.Resource)}, {f.Request, r.Request}, {f.Revision, r.Revision},
	} {
		if key[0] != "" && key[0] != key[1] {
			return false
		}
	}
	at := Millis(r.Time)
	return (f.Rule == "" || slices.Contains(r.Rules, f.Rule)) &&
		(f.Since.IsZero() || at >= Millis(f.Since)) && (f.Until.IsZero() || at < Millis(f.Until))
}
