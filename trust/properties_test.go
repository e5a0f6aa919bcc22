package trust

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"example.com/umpire/uma"
)

// No claim crosses subjects: whatever tokens of whichever issuers, realms and keys are verified
// in whichever order, and however often, each becomes what it says.
func TestNoClaimCrossesSubjects(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	s.issuer.Clients = map[string]string{"guid": "app"}
	second := s.snap.Realm
	second.Key, second.Name = 2, "second"
	second.Issuers = append([]uma.TrustedIssuer(nil), second.Issuers...)
	second.Issuers[1].Map.Username = uma.ClaimPath{"name"}
	realms := []*uma.Snapshot{s.snap, uma.NewSnapshot(second, nil, nil)}
	rapid.Check(t, func(r *rapid.T) {
		type sent struct {
			raw, sub, license, name string
			key                     string
		}
		var tokens []sent
		for i := range rapid.IntRange(1, 4).Draw(r, "tokens") {
			tok := sent{
				sub: rapid.SampledFrom([]string{"u1", "u2"}).Draw(r, "sub"), license: fmt.Sprint("L", rapid.IntRange(0, 3).Draw(r, "license")),
				name: rapid.StringMatching(`[a-z]{1,8}`).Draw(r, "name"), key: rapid.SampledFrom([]string{"rsa", "ed", "ec"}).Draw(r, "key"),
			}
			alg := map[string]string{"rsa": "RS256", "ed": "EdDSA", "ec": "ES256"}[tok.key]
			tok.raw = s.token(t, tok.key, alg, map[string]any{"sub": tok.sub, "license": tok.license, "preferred_username": tok.name, "name": tok.name + "2", "jti": fmt.Sprint(i)})
			tokens = append(tokens, tok)
		}
		for range rapid.IntRange(1, 12).Draw(r, "times") {
			tok := rapid.SampledFrom(tokens).Draw(r, "token")
			realm := rapid.IntRange(0, 1).Draw(r, "realm")
			got, err := s.Verify(context.Background(), realms[realm], tok.raw)
			if err != nil {
				r.Fatal(err)
			}
			name := tok.name
			if realm == 1 {
				name += "2"
			}
			if got.Subject != tok.sub || got.Username != name || !reflect.DeepEqual(got.Claims, map[string]any{"license": tok.license}) {
				r.Fatalf("got %+v, sent %+v", got, tok)
			}
		}
	})
}

// What the realm did not ask for changes nothing: two tokens that differ in other claims are one.
func TestOtherClaimsChangeNothing(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	rapid.Check(t, func(r *rapid.T) {
		extra := map[string]any{"license": "L"}
		for range rapid.IntRange(0, 5).Draw(r, "claims") {
			name := "x-" + rapid.StringMatching(`[a-z]{1,6}`).Draw(r, "name")
			extra[name] = rapid.SampledFrom([]any{"text", 1.5, true, nil, []any{"a"}, map[string]any{"sub": "root"}}).Draw(r, "value")
		}
		got, err := s.Verify(context.Background(), s.snap, s.token(t, "ed", "EdDSA", extra))
		if err != nil {
			r.Fatal(err)
		}
		want, err := s.Verify(context.Background(), s.snap, s.token(t, "ed", "EdDSA", map[string]any{"license": "L"}))
		if err != nil || !reflect.DeepEqual(got, want) {
			r.Fatalf("got %+v, want %+v, %v", got, want, err)
		}
	})
}

// One changed byte, anywhere, and a token is not believed.
func TestChangedBytes(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for _, raw := range []string{s.token(t, "ed", "EdDSA", nil), s.token(t, "rsa", "RS256", nil), s.token(t, "ec", "ES256", nil)} {
		rapid.Check(t, func(r *rapid.T) {
			at := rapid.IntRange(0, len(raw)-1).Draw(r, "at")
			with := rapid.Byte().Draw(r, "with")
			if raw[at] == with {
				return
			}
			changed := raw[:at] + string([]byte{with}) + raw[at+1:]
			if got, err := s.Verify(context.Background(), s.snap, changed); err == nil {
				r.Fatalf("verified as %+v", got)
			}
		})
	}
}

// The settings of a realm survive the store: a map that went through JSON maps alike.
func TestSettingsThroughJSON(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	s.issuer.Map.Groups = uma.GroupsMap{From: uma.ClaimPath{"groups"}, Prefix: "/x", Only: []string{"a"}}
	text, err := json.Marshal(s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	var stored uma.TrustedIssuer
	if err := json.Unmarshal(text, &stored); err != nil || !reflect.DeepEqual(&stored, s.issuer) {
		t.Errorf("got %+v, %v, want %+v", stored, err, s.issuer)
	}
}
