package rows

import "example.com/umpire/uma"

// RestedOn returns the ids of the resources and shares that grants rest on, and their scopes.
func RestedOn(grants []uma.Grant) (resources []uma.ResourceID, shares []string, scopes []uma.Scope) {
	for _, g := range grants {
		scopes = append(scopes, g.Scopes...)
		if g.Resource != "" {
			resources = append(resources, g.Resource)
		}
		for _, s := range g.Shares {
			shares = append(shares, s.ID)
		}
	}
	return resources, shares, scopes
}

// ValidityOf returns the validity that has these rows, and no shares yet.
func ValidityOf(resources []*uma.Resource, scopes []uma.ScopeRow) *uma.Validity {
	st := &uma.Validity{
		Resources: make(map[uma.ResourceID]*uma.Resource, len(resources)),
		Shares:    map[string]*uma.Share{},
		Scopes:    make(map[uma.Scope]bool, len(scopes)),
	}
	for _, r := range resources {
		st.Resources[r.ID] = r
	}
	for _, row := range scopes {
		st.Scopes[row.Name] = true
	}
	return st
}
