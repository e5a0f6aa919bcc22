package rows

import (
	"errors"
	"reflect"
	"testing"

	"example.com/umpire/uma"
)

func TestAppliedUsers(t *testing.T) {
	t.Parallel()
	row := uma.User{Key: 1, ID: "alice-id", Username: "alice", Password: "hash", Enabled: true, Roles: []string{"user"}, Origin: uma.FromFile, Version: 7}
	file := uma.User{ID: "another-id", Username: "alice", Password: "hash", Enabled: true, Roles: []string{"user"}}
	for name, tc := range map[string]struct {
		change func(old, next *uma.User)
		want   UserWrite
		report uma.RealmReport
	}{
		"the same":         {func(old, next *uma.User) {}, UserWrite{}, uma.RealmReport{}},
		"another role":     {func(old, next *uma.User) { next.Roles = nil }, UserWrite{Write: true, NewVersion: true}, uma.RealmReport{Updated: []string{"user alice"}}},
		"another password": {func(old, next *uma.User) { next.Password = "other" }, UserWrite{Write: true, EndSessions: true}, uma.RealmReport{Updated: []string{"user alice"}}},
		"disabled": {func(old, next *uma.User) { next.Enabled = false }, UserWrite{Write: true, NewVersion: true},
			uma.RealmReport{Updated: []string{"user alice"}}},
		"enabled again": {func(old, next *uma.User) { old.Enabled = false }, UserWrite{Write: true, NewVersion: true, EndSessions: true},
			uma.RealmReport{Updated: []string{"user alice"}}},
		"of an API": {func(old, next *uma.User) { old.Origin = uma.FromAPI }, UserWrite{Write: true}, uma.RealmReport{Adopted: []string{"user alice"}}},
	} {
		old, next := row, file
		tc.change(&old, &next)
		var a Applied
		got, err := a.User(&old, &next)
		got.Texts = UserTexts{}
		if err != nil || got != tc.want || !reflect.DeepEqual(a.Report, tc.report) || a.Changed != tc.want.Write {
			t.Errorf("%s: got %+v, %+v and error %v, want %+v, %+v", name, got, a, err, tc.want, tc.report)
		}
		if next.ID != row.ID || next.Key != row.Key || next.Origin != uma.FromFile {
			t.Errorf("%s: got %+v, want the id and key of the row", name, next)
		}
	}
}

func TestNewIssuers(t *testing.T) {
	t.Parallel()
	known := []Issuer{{1, "a", "https://a.example"}, {2, "former", "https://former.example"}}
	change := func(username string, issuers ...uma.TrustedIssuer) *uma.RealmChange {
		return &uma.RealmChange{Realm: uma.Realm{Issuers: issuers}, Users: []*uma.User{{Username: username}}}
	}
	a, b := uma.TrustedIssuer{Alias: "a", Issuer: "https://a.example"}, uma.TrustedIssuer{Alias: "b", Issuer: "https://b.example"}
	added, err := NewIssuers(known, change("alice", a, b))
	if want := []Issuer{{0, "b", "https://b.example"}}; err != nil || !reflect.DeepEqual(added, want) {
		t.Errorf("got %v and error %v, want %v", added, err, want)
	}
	for _, c := range []*uma.RealmChange{
		change("alice", uma.TrustedIssuer{Alias: "a", Issuer: "https://b.example"}),
		change("alice", uma.TrustedIssuer{Alias: "b", Issuer: "https://former.example"}),
	} {
		if _, err := NewIssuers(known, c); !isA[*uma.AliasError](err) {
			t.Errorf("%v: got error %v", c.Realm.Issuers, err)
		}
	}
	for _, username := range []string{"b/alice", "Former/alice"} {
		if _, err := NewIssuers(known, change(username, a, b)); !isA[*uma.UsernameError](err) {
			t.Errorf("%s: got error %v", username, err)
		}
	}
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
