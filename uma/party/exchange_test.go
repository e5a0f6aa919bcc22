package party

import (
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// A measuring issuer says that every token has a length.
type measuring struct {
	uma.Issuer
	length int
}

func (i measuring) Length(*uma.Snapshot, *uma.Claims) (int, error) { return i.length, nil }

// TestExchangedTooLong: an issuer may say more of a party than a token that this server can read
// again has room for.
func TestExchangedTooLong(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]uma.Reason{uma.MaxRPT: "", uma.MaxRPT + 1: uma.InvalidRequest} {
		w, _ := newForeignWorld(t)
		w.App.TokenExchange = true
		w.service.Issuer = measuring{w.Issuer, length}
		got, err := w.service.Exchange(t.Context(), w.Snap, w.App, &Exchange{SubjectToken: "foreign.of.dana"})
		if umatest.Reason(err) != want || (got == nil) != (want != "") {
			t.Errorf("%d characters: got %+v, %v, want %q", length, got, err, want)
		}
	}
}

// TestAttributesAreNoAddress: what the realm maps as an attribute does not become the e-mail
// address of a token, which others believe.
func TestAttributesAreNoAddress(t *testing.T) {
	t.Parallel()
	for verified, want := range map[bool][2]any{false: {nil, nil}, true: {"dana@i.example", true}} {
		w, token := newForeignWorld(t)
		token.EmailVerified = verified
		token.Attributes = map[string]any{"email": "eve@i.example", "email_verified": true}
		id, err := w.present(t)
		if err != nil {
			t.Fatal(err)
		}
		extra := w.service.AccessClaims(w.Snap, id, "email", w.Snap.Realm.Lifetimes.Access).Extra
		if got := [2]any{extra["email"], extra["email_verified"]}; got != want {
			t.Errorf("verified %t: got %v, want %v", verified, got, want)
		}
	}
}
