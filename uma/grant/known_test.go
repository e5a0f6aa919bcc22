package grant

import (
	"reflect"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// An answer that is known needs no evaluation, and nobody changes it: other requests have it,
// too.
func TestKnownAnswer(t *testing.T) {
	t.Parallel()
	answer := func() *uma.Evaluation {
		return &uma.Evaluation{
			Output: uma.Output{
				Granted: append(make([]uma.Scope, 0, 8), "view"), Submit: append(make([]uma.Scope, 0, 8), "post"),
				NeedInfo: []uma.Need{{RequiredClaim: uma.RequiredClaim{Name: "a", Formats: []string{"jwt"}}, Scopes: []uma.Scope{"post"}}},
				RestsOn:  []string{}, RPT: uma.RPTInstructions{TTL: 5, Claims: map[string][]string{"c": {"v"}}},
			},
			RuleLabels: []map[string]any{{"rule": "r"}}, Decided: []uma.ScopeDecision{{Scope: "view", Decision: "granted", Rules: []string{"r"}}}, Cached: true,
		}
	}
	for name, req := range map[string]*Request{
		"a token":     {Permissions: []AskedPermission{{Resource: "r-board", Scopes: umatest.ScopesOf("view post")}}},
		"a decision":  {Permissions: []AskedPermission{{Resource: "r-board", Scopes: umatest.ScopesOf("view post")}}, Mode: ModeDecision},
		"permissions": {Permissions: []AskedPermission{{Resource: "r-board", Scopes: umatest.ScopesOf("view post")}}, Mode: ModePermissions},
		"a ticket":    {Ticket: "the-ticket", Rules: strict},
		"all":         {},
	} {
		w := newFullWorld(t)
		w.Known = answer()
		w.Answer = func(*uma.Input) (*uma.Evaluation, error) {
			t.Errorf("%s: the policy was evaluated", name)
			return answer(), nil
		}
		if req.Ticket != "" {
			w.Ticket(uma.Permission{Resource: "r-board", Scopes: umatest.ScopesOf("view post")})
		}
		if _, err := w.bob(req); err != nil && name != "a ticket" && name != "all" {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(w.Known, answer()) {
			t.Errorf("%s: got  %+v\nwant %+v", name, w.Known, answer())
		}
		if len(w.Settlements) == 0 || !strings.Contains(string(w.Settlements[0].Records[0].Event), "output=true") {
			t.Errorf("%s: got %+v", name, w.Settlements)
		}
		for _, list := range [][]uma.Scope{w.Known.Output.Granted[:2], w.Known.Output.Submit[:2]} {
			if list[1] != "" {
				t.Errorf("%s: something was appended: %v", name, list)
			}
		}
	}
}

// A known answer is checked against the contract as any: it may be of a request for more.
func TestKnownAnswerKeepsTheContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Known = &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"delete"}}}
	_, err := w.bob(&Request{Permissions: []AskedPermission{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}})
	if umatest.Reason(err) != uma.PolicyFailed {
		t.Errorf("got %v", err)
	}
}
