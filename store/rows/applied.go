package rows

import (
	"bytes"
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// Applied is what was applied of a realm file until now. Its methods decide what is to be written
// of a row, and note it. The zero value is of nothing.
type Applied struct {
	Report  uma.RealmReport
	Changed bool // anything
}

// Created notes a row that is new, such as "client photoz-api".
func (a *Applied) Created(what string) {
	a.Changed, a.Report.Created = true, append(a.Report.Created, what)
}

// Updated notes a row that is changed.
func (a *Applied) Updated(what string) {
	a.Changed, a.Report.Updated = true, append(a.Report.Updated, what)
}

// Adopted notes a row that somebody else made and that is the file's now.
func (a *Applied) Adopted(what string) {
	a.Changed, a.Report.Adopted = true, append(a.Report.Adopted, what)
}

// Removed notes a row that is removed.
func (a *Applied) Removed(what string) {
	a.Changed, a.Report.Removed = true, append(a.Report.Removed, what)
}

// Disabled notes a row that is disabled, because others depend on it.
func (a *Applied) Disabled(what string) {
	a.Changed, a.Report.Disabled = true, append(a.Report.Disabled, what)
}

// Kept notes a row that stays, because others depend on it.
func (a *Applied) Kept(what string) { a.Report.Kept = append(a.Report.Kept, what) }

// A ClientWrite is what is to be written of a client.
type ClientWrite struct {
	Details     string // see DetailsText
	Write       bool
	EndSessions bool // those through the client
}

// Client makes next, a client of the file, the next state of a row, nil for none.
func (a *Applied) Client(old, next *uma.Client) (w ClientWrite, err error) {
	next.Origin = uma.FromFile
	if w.Details, err = DetailsText(next); err != nil {
		return w, err
	}
	what := "client " + next.ID
	if old == nil {
		a.Created(what)
		w.Write = true
		return w, nil
	}
	next.Key, next.UUID = old.Key, old.UUID
	had, err := DetailsText(old)
	switch {
	case err != nil:
		return w, err
	case old.Origin != uma.FromFile:
		a.Adopted(what)
	case had == w.Details && bytes.Equal(old.Secret, next.Secret) && old.Enabled == next.Enabled:
		return w, nil
	default:
		a.Updated(what)
	}
	w.Write, w.EndSessions = true, !old.Enabled && next.Enabled
	return w, nil
}

// A UserWrite is what is to be written of a user.
type UserWrite struct {
	Texts       UserTexts
	Write       bool
	NewVersion  bool // something is changed that decisions depend on
	EndSessions bool
}

// User makes next, a user of the file, the next state of a row, nil for none.
func (a *Applied) User(old, next *uma.User) (w UserWrite, err error) {
	next.Origin = uma.FromFile
	if w.Texts, err = TextsOf(next); err != nil {
		return w, err
	}
	what := "user " + next.Username
	if old == nil {
		a.Created(what)
		w.Write = true
		return w, nil
	}
	next.Key, next.ID, next.Version = old.Key, old.ID, old.Version
	had, err := TextsOf(old)
	switch {
	case err != nil:
		return w, err
	case old.Origin != uma.FromFile:
		a.Adopted(what)
	case had == w.Texts && old.Password == next.Password:
		return w, nil
	default:
		a.Updated(what)
	}
	w.Write, w.NewVersion = true, had != w.Texts
	w.EndSessions = old.Password != next.Password || !old.Enabled && next.Enabled
	return w, nil
}

// Scope reports whether a scope of the file is to be written that has an origin, empty for a new one.
func (a *Applied) Scope(had uma.Origin, name uma.Scope, server string) (write bool) {
	what := "scope " + string(name) + " of " + server
	switch had {
	case "":
		a.Created(what)
	case uma.FromFile:
		return false
	default:
		a.Adopted(what)
	}
	return true
}

// Resource makes next, a resource of the file, the next state of a row, nil for none. drifted: it
// was changed over an API. write reports whether anything is to be written.
func (a *Applied) Resource(old, next *uma.Resource, drifted bool) (write bool) {
	what := "resource " + next.Name
	if old == nil {
		a.Created(what)
		return true
	}
	next.Key, next.ID, next.Version = old.Key, old.ID, old.Version
	switch {
	case SameResource(old, next):
		return false
	case old.Origin != uma.FromFile:
		a.Adopted(what)
	case drifted:
		a.Changed, a.Report.Drifted = true, append(a.Report.Drifted, what)
	default:
		a.Updated(what)
	}
	return true
}

// An Issuer is one that a realm trusts or has trusted.
type Issuer struct {
	Key        uma.Key
	Alias, URL string
}

// NewIssuers returns the issuers of a change that are not known yet. It returns a *uma.AliasError
// for an alias or an issuer that is the other's no longer, and a *uma.UsernameError for a local
// user who would be taken for a party, also of an issuer that is no longer trusted.
func NewIssuers(known []Issuer, c *uma.RealmChange) (added []Issuer, err error) {
	all := slices.Clone(known)
	for i := range c.Realm.Issuers {
		next := Issuer{Alias: c.Realm.Issuers[i].Alias, URL: c.Realm.Issuers[i].Issuer}
		same := slices.IndexFunc(all, func(k Issuer) bool { return k.Alias == next.Alias || k.URL == next.URL })
		if same < 0 {
			all, added = append(all, next), append(added, next)
			continue
		}
		if k := all[same]; k.Alias != next.Alias || k.URL != next.URL {
			return nil, &uma.AliasError{Alias: next.Alias, Issuer: next.URL, HasAlias: k.Alias, HasIssuer: k.URL}
		}
	}
	for _, u := range c.Users {
		for _, k := range all {
			if strings.HasPrefix(Fold(u.Username), Fold(k.Alias)+"/") {
				return nil, &uma.UsernameError{Username: u.Username, Alias: k.Alias}
			}
		}
	}
	return added, nil
}
