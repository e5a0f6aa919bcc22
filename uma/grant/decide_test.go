package grant

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// The contract check: a policy may narrow, never widen.
func TestContract(t *testing.T) {
	t.Parallel()
	shares := []uma.Share{
		{Key: 1, ID: "s1", Resource: 5, Version: 11, Scopes: umatest.ScopesOf("view")},
		{Key: 2, ID: "s2", Resource: 5, Version: 12, Scopes: umatest.ScopesOf("edit delete")},
		{Key: 3, ID: "elsewhere", Resource: 6, Version: 13, Scopes: umatest.ScopesOf("view")},
	}
	tests := []struct {
		name    string
		asked   string // "" is a resource without scopes
		alone   bool   // scopes without a resource
		granted string
		submit  string
		restsOn string
		unknown bool // the entry point says nothing of rests_on

		gets, submits string // "itself", "*" for a resource without scopes
		rests         string
		fault         string
	}{
		{name: "nothing", asked: "view edit"},
		{name: "all of it", asked: "view edit", granted: "edit view", gets: "view edit"},
		{name: "some of it", asked: "view edit", granted: "edit", gets: "edit"},
		{name: "said twice", asked: "view edit", granted: "edit edit", gets: "edit"},
		{name: "the star is all that was asked for", asked: "view edit", granted: "*", gets: "view edit"},
		{name: "the star and one more", asked: "view edit", granted: "view *", gets: "view edit"},
		{name: "what was not asked for", asked: "view", granted: "view edit", fault: `policy: granted has "edit", which was not asked for`},
		{name: "what was not asked for, beside a star", asked: "view", granted: "* edit", fault: `policy: granted has "edit", which was not asked for`},
		{name: "case counts", asked: "view", granted: "View", fault: `policy: granted has "View", which was not asked for`},
		{name: "a resource without scopes", granted: "*", gets: "itself"},
		{name: "a resource without scopes, refused"},
		{name: "a scope of a resource without scopes", granted: "view", fault: `policy: granted has "view", which was not asked for`},
		{name: "a scope alone", asked: "download", alone: true, granted: "download", gets: "download"},
		{name: "a scope alone by the star", asked: "download", alone: true, granted: "*", gets: "download"},

		{name: "submit some", asked: "view edit", submit: "edit", submits: "edit"},
		{name: "submit all", asked: "view edit", submit: "*", submits: "view edit"},
		{name: "submit a resource without scopes", submit: "*", submits: "*"},
		{name: "submit what was not asked for", asked: "view", submit: "edit", fault: `policy: submit has "edit", which was not asked for`},
		{name: "grant and submit", asked: "view edit", granted: "view", submit: "edit", gets: "view", submits: "edit"},

		{name: "rests on one", asked: "view edit", granted: "view", restsOn: "s1", gets: "view", rests: "s1=view"},
		{name: "rests on two", asked: "view edit", granted: "*", restsOn: "s2 s1", gets: "view edit", rests: "s1=view s2=edit"},
		{name: "rests on a share that covers nothing of it", asked: "view edit", granted: "view", restsOn: "s2", gets: "view", rests: "s2="},
		{name: "rests on none", asked: "view", granted: "view", gets: "view"},
		{name: "rests on an unknown share", asked: "view", granted: "view", restsOn: "s3", fault: "policy: rests_on has an id that is none of the shares"},
		{name: "rests on a share of another resource", asked: "view", granted: "view", restsOn: "elsewhere", fault: "policy: rests_on has an id that is none of the shares"},
		{name: "rests on a share and one of another resource", asked: "view", granted: "view", restsOn: "s1 elsewhere", fault: "policy: rests_on has an id that is none of the shares"},
		{name: "rests on a share without a resource", asked: "view", alone: true, granted: "view", restsOn: "s1", fault: "policy: rests_on without a resource"},
		{name: "rests_on not said: all candidates", asked: "view edit", granted: "view", unknown: true, gets: "view", rests: "s1=view s2="},
		{name: "rests_on not said, without a resource", asked: "view", alone: true, granted: "view", unknown: true, gets: "view"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := &permission{scopes: umatest.ScopesOf(tc.asked), requested: true, asked: umatest.ScopesOf(tc.asked)}
			if !tc.alone {
				p.resource = &uma.Resource{Key: 5, ID: "r"}
			}
			r := &decision{permission: p}
			err := r.accept(&uma.Output{
				Granted: umatest.ScopesOf(tc.granted), Submit: umatest.ScopesOf(tc.submit),
				RestsOn: strings.Fields(tc.restsOn), SharesUnknown: tc.unknown,
			}, shares)
			if tc.fault != "" {
				if err == nil || err.Error() != tc.fault {
					t.Fatalf("got %v, want %s", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := r.whole, tc.gets == "itself"; got != want {
				t.Errorf("itself: got %t, want %t", got, want)
			}
			if tc.gets == "itself" {
				tc.gets = ""
			}
			if !slices.Equal(r.granted, umatest.ScopesOf(tc.gets)) {
				t.Errorf("granted: got %q, want %q", r.granted, tc.gets)
			}
			if !slices.Equal(r.submit, umatest.ScopesOf(tc.submits)) {
				t.Errorf("submit: got %q, want %q", r.submit, tc.submits)
			}
			var rests []string
			for i, s := range r.shares {
				var covered []string
				for _, scope := range s.Scopes {
					covered = append(covered, string(scope))
				}
				rests = append(rests, s.ID+"="+strings.Join(covered, ","))
				if s.ID != r.restsOn[i].ID || s.Version != r.restsOn[i].Version {
					t.Errorf("share %s: got version %d, want that of %v", s.ID, s.Version, r.restsOn[i])
				}
			}
			if got := strings.Join(rests, " "); got != tc.rests {
				t.Errorf("rests on: got %q, want %q", got, tc.rests)
			}
		})
	}
}

// The empty name is no scope: not even a resource without scopes is granted by it.
func TestContractRefusesTheEmptyName(t *testing.T) {
	t.Parallel()
	for _, asked := range []string{"", "view"} {
		r := &decision{permission: &permission{scopes: umatest.ScopesOf(asked)}}
		if err := r.accept(&uma.Output{Granted: []uma.Scope{""}}, nil); err == nil {
			t.Errorf("asked %q: got no error", asked)
		}
	}
}

// For any output: what is accepted is within what was asked, and the shares
// within the candidates of the resource.
func TestContractNeverWidens(t *testing.T) {
	t.Parallel()
	scope := rapid.SampledFrom([]uma.Scope{"view", "edit", "delete", "*", "", "View"})
	scopes := rapid.SliceOfN(scope, 0, 4)
	id := rapid.SampledFrom([]string{"s1", "s2", "s3", "elsewhere", ""})
	candidates := []uma.Share{
		{Key: 1, ID: "s1", Resource: 5, Scopes: umatest.ScopesOf("view")},
		{Key: 2, ID: "s2", Resource: 5},
		{Key: 3, ID: "elsewhere", Resource: 6, Scopes: umatest.ScopesOf("edit")},
	}
	rapid.Check(t, func(t *rapid.T) {
		asked := rapid.SliceOfNDistinct(rapid.SampledFrom([]uma.Scope{"view", "edit", "delete"}), 0, 3, rapid.ID[uma.Scope]).Draw(t, "asked")
		p := &permission{scopes: asked, asked: asked, requested: true}
		if len(asked) == 0 || rapid.Bool().Draw(t, "on a resource") {
			p.resource = &uma.Resource{Key: 5}
		}
		out := &uma.Output{
			Granted: scopes.Draw(t, "granted"), Submit: scopes.Draw(t, "submit"),
			RestsOn: rapid.SliceOfN(id, 0, 3).Draw(t, "rests_on"), SharesUnknown: rapid.Bool().Draw(t, "shares unknown"),
		}
		r := &decision{permission: p}
		if err := r.accept(out, candidates); err != nil {
			return
		}
		for _, s := range r.granted {
			if !slices.Contains(asked, s) {
				t.Errorf("granted %q, which is not in %q", s, asked)
			}
			if !slices.Contains(out.Granted, s) && !slices.Contains(out.Granted, "*") {
				t.Errorf("granted %q, which the policy did not say: %q", s, out.Granted)
			}
		}
		if r.whole && (len(asked) > 0 || !slices.Contains(out.Granted, "*")) {
			t.Errorf("granted as a whole: asked %q, policy said %q", asked, out.Granted)
		}
		if r.anyGranted() && len(out.Granted) == 0 {
			t.Error("granted something of nothing")
		}
		for _, s := range r.submit {
			if s == "*" && len(asked) > 0 || s != "*" && !slices.Contains(asked, s) {
				t.Errorf("submits %q, which is not in %q", s, asked)
			}
		}
		for _, s := range r.shares {
			if s.ID != "s1" && s.ID != "s2" {
				t.Errorf("rests on %q, which is no candidate", s.ID)
			}
			if !out.SharesUnknown && !slices.Contains(out.RestsOn, s.ID) {
				t.Errorf("rests on %q, which the policy did not say", s.ID)
			}
			for _, scope := range s.Scopes {
				if !slices.Contains(r.granted, scope) {
					t.Errorf("share %q covers %q, which is not granted", s.ID, scope)
				}
			}
		}
	})
}

// The words are those of the column `outcome` and of `umpire decisions list`.
func TestOutcome(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		line line
		err  error
		want string
	}{
		{"all", line{asks: "view edit", gets: "view edit"}, nil, "granted"},
		{"itself", line{gets: "itself"}, nil, "granted"},
		{"some", line{asks: "view edit", gets: "view"}, nil, "partial"},
		{"some, and more to come", line{asks: "view edit", gets: "view", wants: "email", submits: "edit"}, nil, "partial"},
		{"claims wanted", line{asks: "view", wants: "email"}, nil, "need_info"},
		{"claims wanted, owner to be asked", line{asks: "view edit", wants: "email", submits: "edit"}, nil, "need_info"},
		{"owner to be asked", line{asks: "view", submits: "view"}, nil, "submitted"},
		{"owner to be asked for a resource without scopes", line{submits: "*"}, nil, "submitted"},
		{"nothing", line{asks: "view"}, nil, "denied"},
		{"not itself", line{}, nil, "denied"},
		{"no answer", line{asks: "view"}, uma.ErrBusy, "error"},
		{"no answer counts more than what it grants", line{asks: "view", gets: "view"}, uma.ErrBusy, "error"},
	}
	for _, tc := range tests {
		r := tc.line.decision()
		r.failed = tc.err
		if got := r.outcome(true, true); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
		unasked := tc.want
		if unasked == outcomeNeedInfo || unasked == outcomeSubmitted {
			unasked = outcomeDenied
		}
		if got := r.outcome(false, false); got != unasked {
			t.Errorf("%s, and nobody is asked: got %s, want %s", tc.name, got, unasked)
		}
	}
}

// The rules of a record are those that decided; where that is not known, those
// that held.
func TestRulesOfRecord(t *testing.T) {
	t.Parallel()
	held := []map[string]any{
		{"rule": "owner"},
		{"rule": "friends", "team": "albums"},
		{"rule": "owner"},  // once is enough
		{"team": "albums"}, // a label that names no rule
		{"rule": 7}, nil,   // a label that is no text
		{"rule": "owner", "team": 3},     // a team that is no text
		{"rule": "night", "team": "ops"}, // in the order in which they held
	}
	eval := &uma.Evaluation{RuleLabels: held}
	if got, want := rulesOf(eval), []string{"owner", "albums/friends", "ops/night"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	eval.Decided = []uma.ScopeDecision{{Scope: "view", Rules: []string{"owner"}}, {Scope: "delete", Rules: []string{"ops/night", "owner"}}}
	if got, want := rulesOf(eval), []string{"owner", "ops/night"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	eval.Decided = []uma.ScopeDecision{{Scope: "view"}}
	if got := rulesOf(eval); len(got) != 0 {
		t.Errorf("got %q, want none", got)
	}
}

// A grant rests on policies and on granted requests, each by rows of its own.
func TestRestsOnBothKinds(t *testing.T) {
	t.Parallel()
	w := newFullWorld(t)
	w.View.Shares = []uma.Share{
		{Key: 9, ID: "s", Kind: uma.ByRequest, Resource: 103, Scopes: umatest.ScopesOf("view"), Version: 40},
		{Key: 9, ID: "p", Kind: uma.ByPolicy, Resource: 103, Scopes: umatest.ScopesOf("view comment"), Version: 50},
		{Key: 8, ID: "u", Kind: uma.ByPolicy, Resource: 103, Scopes: umatest.ScopesOf("view"), Version: 60},
	}
	w.Answer = func(*uma.Input) (*uma.Evaluation, error) {
		return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}, RestsOn: []string{"s", "p"}}}, nil
	}
	if _, err := w.bob(&Request{Permissions: asked("r-album")}); err != nil {
		t.Fatal(err)
	}
	st := w.Settlements[0]
	if got, want := st.RestsOn.Requests, map[uma.Key]int64{9: 40}; !maps.Equal(got, want) {
		t.Errorf("got requests %v, want %v", got, want)
	}
	if got, want := st.RestsOn.Policies, map[uma.Key]int64{9: 50}; !maps.Equal(got, want) {
		t.Errorf("got policies %v, want %v", got, want)
	}
	shares := st.RPT.Permissions[0].Shares
	if len(shares) != 2 || shares[1].ID != "p" || shares[1].Version != 50 || !slices.Equal(shares[1].Scopes, umatest.ScopesOf("view comment")) {
		t.Errorf("got %+v in the RPT's row", shares)
	}
}
