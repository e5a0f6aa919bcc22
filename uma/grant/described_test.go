package grant

import (
	"reflect"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

func (w *world) pose(d Described, permissions []DescribedPermission) ([]*Posed, error) {
	return uma.Read(w.Context(), w.Store, func(view uma.View) ([]*Posed, error) { return d.Pose(w.Context(), view, permissions) })
}

// TestDescribed: the policy is asked about a described request as about the same request when
// it is made.
func TestDescribed(t *testing.T) {
	t.Parallel()
	w := newFullWorld(t)
	claims := w.Tokens["access.of.bob"]
	claims.Scope, claims.ACR, claims.AuthTime = "profile email", "1", w.Now.Unix()
	var made []*uma.Input
	w.Answer = func(in *uma.Input) (*uma.Evaluation, error) {
		made = append(made, in)
		return &uma.Evaluation{}, nil
	}
	_, err := w.bob(&Request{Permissions: []AskedPermission{
		{Resource: "r-album", Scopes: umatest.ScopesOf("view print")}, {Resource: "r-board"}, {Scopes: umatest.ScopesOf("download")},
	}})
	if umatest.Reason(err) != uma.NotAuthorized || len(made) != 3 {
		t.Fatalf("got %v, %d inputs", err, len(made))
	}
	described := Described{Realm: w.Snap, Party: SignedIn(w.View.Users["u-bob"], w.Web, w.Now), Server: w.API, At: w.Now}
	posed, err := w.pose(described, []DescribedPermission{
		{Resource: w.View.Resources[2], Scopes: umatest.ScopesOf("view print unknown")},
		{Resource: w.View.Resources[0]},
		{Scopes: umatest.ScopesOf("download")},
		{Resource: w.View.Resources[0], Scopes: umatest.ScopesOf("unknown")}, // is left out
	})
	if err != nil || len(posed) != 3 {
		t.Fatalf("got %d, %v", len(posed), err)
	}
	for i, p := range posed {
		if !reflect.DeepEqual(p.Input, made[i]) {
			t.Errorf("got  %+v\nwant %+v", p.Input, made[i])
		}
	}
	if len(made[0].Shares) == 0 {
		t.Errorf("got %+v, want the shares", made[0])
	}
	if err := posed[0].Check(&uma.Output{Granted: umatest.ScopesOf("view"), RestsOn: []string{"p"}}); err != nil {
		t.Error(err)
	}
	for _, out := range []uma.Output{{Granted: umatest.ScopesOf("comment")}, {RestsOn: []string{"other"}}} {
		if err := posed[0].Check(&out); err == nil {
			t.Errorf("%+v keeps the contract", out)
		}
	}
}

// TestDescribedClient: a client that asks for itself, and claims.
func TestDescribedClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	self, err := SignedInAsItself(w.App)
	if err != nil {
		t.Fatal(err)
	}
	described := Described{
		Realm: w.Snap, Party: self, Server: w.API, At: w.Now, IP: "192.0.2.7",
		Pushed: map[string][]string{"amount": {"500"}, "kc.time.date_time": {"x"}}, Verified: map[string]any{"level": "2"},
	}
	posed, err := w.pose(described, []DescribedPermission{{Resource: w.View.Resources[0]}})
	if err != nil {
		t.Fatal(err)
	}
	in := posed[0].Input
	if in.Subject.Type != "service" || in.Client.ID != "photoz-app" || in.Context.IP != "192.0.2.7" || in.Claims.Verified["level"] != "2" ||
		!reflect.DeepEqual(in.Claims.Pushed, map[string][]string{"amount": {"500"}}) || len(described.Pushed) != 2 {
		t.Errorf("got %+v", in)
	}
	if _, err := SignedInAsItself(w.Web); umatest.Reason(err) != uma.UnauthorizedClient {
		t.Errorf("got %v", err)
	}
}
