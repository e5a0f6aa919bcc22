package party

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// newAssertingWorld has photoz-app with keys instead of a secret, and its assertion "signed".
func newAssertingWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.App.Secret, w.App.JWKSURI = nil, "https://app.example.com/keys"
	w.Trust.Audience = "https://as.example.com"
	w.Trust.Assertions = map[string]*uma.Assertion{"signed": {Client: w.App, ID: "jti-1", Expires: w.Now.Add(time.Minute)}}
	return w
}

func (w *world) assert(c *Caller) (*uma.Client, error) {
	if err := w.service.AuthenticateAhead(w.Context(), w.Snap, []string{"https://as.example.com"}, c); err != nil {
		return nil, err
	}
	return w.service.Authenticate(w.Context(), w.Snap, c)
}

func TestAssertion(t *testing.T) {
	t.Parallel()
	missing := fmt.Errorf("keys: %w", uma.ErrKeysMissing)
	tests := []struct {
		name   string
		caller Caller
		edit   func(*world)
		want   string // of the error; empty: photoz-app
	}{
		{name: "without client_id", caller: Caller{Assertion: "signed"}},
		{name: "with its client_id", caller: Caller{Assertion: "signed", ClientID: "photoz-app"}},
		{name: "with another client_id", caller: Caller{Assertion: "signed", ClientID: "photoz-api"}, want: "invalid_client"},
		{name: "not signed", caller: Caller{Assertion: "other"}, want: "invalid_client"},
		{name: "for somebody else", caller: Caller{Assertion: "signed"}, edit: func(w *world) { w.Trust.Audience = "https://elsewhere.example.com" }, want: "invalid_client"},
		{name: "without an id", caller: Caller{Assertion: "signed"}, edit: func(w *world) { w.Trust.Assertions["signed"].ID = "" }, want: "invalid_client"},
		{name: "of a disabled client", caller: Caller{Assertion: "signed"}, edit: func(w *world) { w.App.Enabled = false }, want: "invalid_client"},
		{name: "of a public client", caller: Caller{Assertion: "signed"}, edit: func(w *world) { w.App.Public = true }, want: "invalid_client"},
		{name: "keys that cannot be had", caller: Caller{Assertion: "signed"}, edit: func(w *world) { w.Trust.Err = missing }, want: "verify client assertion: " + missing.Error()},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newAssertingWorld(t)
			if tc.edit != nil {
				tc.edit(w)
			}
			tc.caller.HasAssertion = true
			client, err := w.assert(&tc.caller)
			switch {
			case tc.want == "" && (err != nil || client != w.App):
				t.Errorf("got %v, %v", client, err)
			case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want) || client != nil):
				t.Errorf("got %v, %v, want %s", client, err, tc.want)
			}
			if spent := len(w.Spent); (spent == 1) != (tc.want == "") {
				t.Errorf("%d ids are spent", spent)
			}
		})
	}
}

// An assertion counts once, in one request; that may ask several times who its client is.
func TestAssertionIsSpent(t *testing.T) {
	t.Parallel()
	w := newAssertingWorld(t)
	c := &Caller{Assertion: "signed", HasAssertion: true}
	if _, err := w.assert(c); err != nil {
		t.Fatal(err)
	}
	if client, err := w.service.Authenticate(w.Context(), w.Snap, c); err != nil || client != w.App || c.ClientID != "photoz-app" {
		t.Errorf("again in the same request: got %v, %v", client, err)
	}
	if client, err := w.assert(&Caller{Assertion: "signed", HasAssertion: true}); umatest.Reason(err) != uma.InvalidClient || !errors.Is(err, uma.ErrSpent) {
		t.Errorf("in another request: got %v, %v", client, err)
	}
	for name, edit := range map[string]func(){
		"disabled since":     func() { w.App.Enabled = false },
		"without keys since": func() { w.App.Enabled, w.App.JWKSURI = true, "" },
	} {
		edit()
		if client, err := w.service.Authenticate(w.Context(), w.Snap, c); umatest.Reason(err) != uma.InvalidClient {
			t.Errorf("%s: got %v, %v", name, client, err)
		}
	}
}

// An assertion that was not verified is nobody's, whatever else the caller says.
func TestAssertionThatIsNotVerified(t *testing.T) {
	t.Parallel()
	w := newAssertingWorld(t)
	w.App.Secret = w.Secret("app-secret")
	for _, c := range []*Caller{
		{HasAssertion: true, Assertion: "signed", ClientID: "photoz-app"},
		{HasAssertion: true, Assertion: "signed", ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true},
		{HasAssertion: true, ClientID: "photoz-web"},
	} {
		if client, err := w.service.Authenticate(w.Context(), w.Snap, c); umatest.Reason(err) != uma.InvalidClient {
			t.Errorf("got %v, %v", client, err)
		}
	}
}
