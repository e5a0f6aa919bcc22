package rows

import "example.com/umpire/uma"

// States are those that a filter allows, never denied.
func States(f *uma.RequestFilter) []string {
	switch {
	case f.Granted == nil:
		return []string{uma.Pending, uma.Granted}
	case *f.Granted:
		return []string{uma.Granted}
	}
	return []string{uma.Pending}
}

// Sides are the filters that a filter by party stands for: one with the party as owner,
// one with it as requester.
func Sides(f uma.RequestFilter) []uma.RequestFilter {
	if f.Party == "" {
		return []uma.RequestFilter{f}
	}
	var out []uma.RequestFilter
	if f.Owner == "" || f.Owner == f.Party {
		owned := f
		owned.Owner = f.Party
		out = append(out, owned)
	}
	if f.Requester == "" || f.Requester == f.Party {
		asked := f
		asked.Requester = f.Party
		out = append(out, asked)
	}
	return out
}
