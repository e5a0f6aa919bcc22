package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/umpire/uma"
)

// withParties makes a data folder with a realm shop, its user alice, and the parties that are
// named by username; carol has the subject of her name. alice and carol own a resource each.
func withParties(t *testing.T, names ...string) (data, realmFile string) {
	t.Helper()
	data, file := t.TempDir(), filepath.Join(t.TempDir(), "realm.yaml")
	write(t, file, "realm: shop\nissuers:\n"+issuerEntry("example")+issuerEntry("council")+"users: [{username: alice, password: alice-password}]\n"+
		"clients: [{id: api, secret: secret-of-api-secret-of-api, resource_server: true}]\n")
	ok(t, "realm", "apply", "--data", data, file)
	inStore(t, data, func(db uma.Store, s *uma.Snapshot) error {
		for _, name := range names {
			_, err := db.AdmitParty(t.Context(), s.Realm.Key, &uma.Admission{ID: uuid.NewString(), Name: name, Email: name + "@example.com",
				Identity: uma.Identity{Issuer: "https://example.example.com", Subject: "sub-" + name}, Now: time.Now(), NewID: uuid.NewString})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return data, file
}

func issuerEntry(alias string) string {
	return "- {issuer: 'https://" + alias + ".example.com', alias: " + alias + ", audiences: [umpire], algorithms: [EdDSA], accept: [bearer, claims], clients: {spa: api},\n" +
		"   jwks: {keys: [{kty: OKP, crv: Ed25519, kid: k, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}}\n"
}

func inStore(t *testing.T, data string, f func(db uma.Store, s *uma.Snapshot) error) {
	t.Helper()
	db, err := openStore(t, data)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := db.Snapshot(t.Context(), "shop", time.Now())
	if err == nil {
		err = f(db, s)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// own makes a user, by id, the owner of a resource.
func own(t *testing.T, data, user, name string) {
	t.Helper()
	inStore(t, data, func(db uma.Store, s *uma.Snapshot) error {
		r := &uma.Resource{ID: uma.ResourceID(uuid.NewString()), Server: s.Clients["api"].Key, Owner: user, Name: name,
			Scopes: []uma.Scope{"view"}, OwnerManaged: true, Origin: uma.FromAPI}
		return db.CreateResource(t.Context(), r, uuid.NewString)
	})
}

// partyCmd runs a command of umpire party on a data folder.
func partyCmd[T any](t *testing.T, data string, args ...string) T {
	t.Helper()
	return decode[T](t, ok(t, slices.Concat([]string{"party"}, args, []string{"--data", data, "--realm", "shop", "-o", "json"})...))
}

// TestParty: parties are listed, shown, disabled, enabled, linked, unlinked and deleted. The
// output is as docs/json.md says.
func TestParty(t *testing.T) {
	t.Parallel()
	data, _ := withParties(t, "bob", "carol")
	shapes := documentedShapes(t)
	documented := func(command string, v any) {
		t.Helper()
		for _, difference := range shapes["party "+command].differences("", shapes["party "+command].example, decode[any](t, jsonOf(t, v))) {
			t.Errorf("party %s: %s", command, difference)
		}
	}
	all := partyCmd[[]partyRow](t, data, "list")
	if len(all) != 2 {
		t.Fatalf("got %+v", all)
	}
	documented("list", all)
	bob := all[0]
	if want := (partyRow{bob.ID, "example/bob", "user", "example", "https://example.example.com", "sub-bob", "bob@example.com", true, true}); bob != want {
		t.Errorf("got %+v, want %+v", bob, want)
	}
	if got := partyCmd[[]partyRow](t, data, "list", "--issuer", "council"); len(got) != 0 {
		t.Errorf("parties of another issuer: %+v", got)
	}
	table := ok(t, "party", "list", "--data", data)
	if lines := strings.Split(table, "\n"); len(lines) != 4 || !slices.Equal(strings.Fields(lines[1]), []string{"example/bob", bob.ID, "user", "sub-bob", "bob@example.com", "enabled"}) {
		t.Errorf("got table\n%s", table)
	}

	off := partyCmd[partyDetails](t, data, "disable", "EXAMPLE/bob")
	documented("disable", off)
	if off.Enabled || off.ID != bob.ID {
		t.Errorf("got %+v", off)
	}
	if got := ok(t, "party", "list", "--data", data); !strings.Contains(got, "disabled") {
		t.Errorf("got %s", got)
	}
	if got := partyCmd[partyDetails](t, data, "enable", bob.ID); !got.Enabled {
		t.Errorf("got %+v", got)
	}

	linked := partyCmd[partyDetails](t, data, "link", "example/bob", "--issuer", "council", "--subject", "4711")
	want := []identityRow{{"example", "https://example.example.com", "sub-bob", false, true}, {"council", "https://council.example.com", "4711", true, true}}
	if !slices.Equal(linked.Identities, want) {
		t.Errorf("got %+v, want %+v", linked.Identities, want)
	}
	documented("show", linked)
	if got := ok(t, "party", "show", "example/bob", "--data", data); !strings.Contains(got, "4711 of council, https://council.example.com") {
		t.Errorf("got %s", got)
	}
	if got := partyCmd[partyDetails](t, data, "link", "alice", "--issuer", "council", "--subject", "1"); got.Issuer != "" || len(got.Identities) != 1 || !got.Identities[0].Linked {
		t.Errorf("of a local user: got %+v", got)
	}
	if got := partyCmd[partyDetails](t, data, "unlink", "example/bob", "--issuer", "council", "--subject", "4711"); len(got.Identities) != 1 {
		t.Errorf("got %+v", got.Identities)
	}

	own(t, data, bob.ID, "Album")
	if got := partyCmd[partyDetails](t, data, "show", "example/bob"); got.Resources != 1 {
		t.Errorf("got %d resources", got.Resources)
	}
	gone := partyCmd[deletedParty](t, data, "delete", "example/bob", "--transfer-to", "alice")
	documented("delete", gone)
	if want := (deletedParty{bob.ID, "example/bob", 1, 0, 0, 0}); gone != want {
		t.Errorf("got %+v, want %+v", gone, want)
	}
	if got := ok(t, "party", "delete", "example/carol", "--delete-resources", "--data", data); !strings.Contains(got, "party example/carol is deleted") {
		t.Errorf("got %s", got)
	}
	if got := partyCmd[[]partyRow](t, data, "list"); len(got) != 0 {
		t.Errorf("left: %+v", got)
	}
}

// TestPartyMistakes: every refusal names the object and says what to do next.
func TestPartyMistakes(t *testing.T) {
	t.Parallel()
	data, _ := withParties(t, "bob", "carol")
	partyCmd[partyDetails](t, data, "link", "example/bob", "--issuer", "council", "--subject", "4711")
	bob := partyCmd[partyDetails](t, data, "show", "example/bob").ID
	own(t, data, bob, "Album")
	own(t, data, partyCmd[partyDetails](t, data, "show", "example/carol").ID, "Album")
	for _, tc := range []struct{ args, want string }{
		{"show nobody", "`umpire party list --realm shop`"},
		{"show", "NAME|ID is missing"},
		{"list --realm other", `"other"`},
		{"list --issuer corp", `no issuer with the alias "corp"`},
		{"disable alice", "change it in the realm file"},
		{"enable alice", "change it in the realm file"},
		{"disable nobody", `no user "nobody"`},
		{"link example/bob --subject 1", "--issuer is missing"},
		{"link example/bob --issuer council", "--subject is missing"},
		{"unlink example/bob --issuer council", "--subject is missing"},
		{"link example/bob --issuer corp --subject 1", `trusts no issuer with the alias "corp"`},
		{"link alice --issuer council --subject 4711", "linked to example/bob: unlink it there first"},
		{"link alice --issuer example --subject sub-carol", "is the party example/carol: delete that first"},
		{"unlink example/bob --issuer council --subject 1", "has no identity"},
		{"unlink example/bob --issuer example --subject sub-bob", "disable or delete the party"},
		{"unlink alice --issuer council --subject 4711", "has no identity"},
		{"delete example/bob", "one of --transfer-to and --delete-resources"},
		{"delete example/bob --transfer-to alice --delete-resources", "one of --transfer-to and --delete-resources"},
		{"delete alice --delete-resources", "change it in the realm file"},
		{"delete example/bob --transfer-to example/bob", "to itself"},
		{"delete example/bob --transfer-to nobody", `no user "nobody"`},
		{"delete example/bob --transfer-to example/carol", "own resources of the same name"},
	} {
		stdout, stderr, code := umpire(t, append([]string{"party", "--data", data}, strings.Fields(tc.args)...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, tc.want) {
			t.Errorf("party %s: got exit %d, %s%s, want %s", tc.args, code, stdout, stderr, tc.want)
		}
	}
	if got := partyCmd[partyDetails](t, data, "show", bob); !got.Enabled || got.Resources != 1 {
		t.Errorf("after refusals: got %+v", got)
	}
}

// TestPartiesInPages: a list of several pages has each party once.
func TestPartiesInPages(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 2*partyPage + 1 {
		names = append(names, fmt.Sprintf("p%03d", i))
	}
	data, _ := withParties(t, names...)
	var got []string
	for _, row := range partyCmd[[]partyRow](t, data, "list") {
		got = append(got, strings.TrimPrefix(row.Username, "example/"))
	}
	if !slices.Equal(got, names) {
		t.Errorf("got %d parties, want %d", len(got), len(names))
	}
}

// TestPartiesOfAnIssuerThatIsGone: a realm file without an issuer leaves its parties, and the
// report says so.
func TestPartiesOfAnIssuerThatIsGone(t *testing.T) {
	t.Parallel()
	data, file := withParties(t, "bob")
	write(t, file, "realm: shop\nissuers:\n"+issuerEntry("council")+"users: [{username: alice, password: alice-password}]\n"+
		"clients: [{id: api, secret: secret-of-api-secret-of-api, resource_server: true}]\n")
	for _, args := range [][]string{{"--dry-run"}, {"--dry-run", "-o", "json"}, nil} {
		got := ok(t, append([]string{"realm", "apply", "--data", data, file}, args...)...)
		if slices.Contains(args, "json") {
			want := []distrustedRow{{"example", "https://example.example.com", 1}}
			if report := decode[map[string]realmReport](t, got)["shop"]; !slices.Equal(report.Distrusted, want) {
				t.Errorf("got %+v, want %+v", report.Distrusted, want)
			}
		} else if !strings.Contains(got, "its 1 parties stay: `umpire party list --issuer example --realm shop`") {
			t.Errorf("got %s", got)
		}
	}
	if got := ok(t, "realm", "apply", "--data", data, file); !strings.Contains(got, "no changes") || strings.Contains(got, "example") {
		t.Errorf("applied again: got %s", got)
	}
	rows := partyCmd[[]partyRow](t, data, "list", "--issuer", "example")
	if len(rows) != 1 || rows[0].Trusted || !rows[0].Enabled {
		t.Errorf("got %+v", rows)
	}
	if got := ok(t, "party", "show", "example/bob", "--data", data); !strings.Contains(got, "issuer not trusted") || !strings.Contains(got, "(not trusted)") {
		t.Errorf("got %s", got)
	}
}
