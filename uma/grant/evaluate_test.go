package grant

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// Errors of the policy on something named, or of the ticket: 503, the ticket
// unspent, the error on record. What was found by a search is left out.
func TestPolicyFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("undefined")
	tests := []struct {
		name     string
		req      Request
		ticket   bool
		want     uma.Reason
		outcomes string
	}{
		{"named", Request{Permissions: asked("r-bare r-board")}, false, uma.PolicyFailed, "granted error"},
		{"of the ticket", Request{}, true, uma.PolicyFailed, "granted error"},
		{"found", Request{}, false, "", "error granted"},
		{"found by scope, and nothing else", Request{Permissions: asked("#post")}, false, uma.NotAuthorized, "error"},
	}
	for _, how := range []string{"error", "widens", "unknown share"} {
		for _, tc := range tests {
			w := newWorld(t)
			w.Answer = func(in *uma.Input) (*uma.Evaluation, error) {
				switch {
				case in.Resource.ID != "r-board":
					return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}}}, nil
				case how == "error":
					return nil, broken
				case how == "widens":
					return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*", "delete"}}}, nil
				}
				return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}, RestsOn: []string{"made-up"}}}, nil
			}
			req := tc.req
			if tc.ticket {
				req.Ticket = w.Ticket(uma.Permission{Resource: "r-bare", Whole: true}, uma.Permission{Resource: "r-board"})
			}
			answer, err := w.bob(&req)
			if got := umatest.Reason(err); got != tc.want || (answer != nil) != (tc.want == "") {
				t.Errorf("%s, %s: got %v, %v, want %q", tc.name, how, answer, err, tc.want)
			}
			if len(w.Settlements) != 1 {
				t.Fatalf("%s, %s: got %d commits, want 1", tc.name, how, len(w.Settlements))
			}
			st := w.Settlements[0]
			var outcomes []string
			for _, r := range st.Records {
				outcomes = append(outcomes, r.Outcome)
			}
			if got := strings.Join(outcomes, " "); got != tc.outcomes {
				t.Errorf("%s, %s: got %q on record, want %q", tc.name, how, got, tc.outcomes)
			}
			if tc.want == uma.PolicyFailed && (st.Ticket != nil || st.RPT != nil || st.Requests != nil) {
				t.Errorf("%s, %s: got %+v, want records alone", tc.name, how, st)
			}
			if tc.want == "" && len(st.RPT.Permissions) != 1 {
				t.Errorf("%s, %s: got %+v granted", tc.name, how, st.RPT.Permissions)
			}
		}
	}
}

// A built-in function that failed is no failure of the policy, since what a
// client pushes could provoke it: nothing is granted, and that is on record.
func TestBuiltinFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Answer = func(*uma.Input) (*uma.Evaluation, error) {
		return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}, Submit: []uma.Scope{"*"}}, Failed: "time.parse_rfc3339_ns"}, nil
	}
	answer, err := w.bob(&Request{Ticket: w.Ticket(uma.Permission{Resource: "r-album"})})
	if umatest.Reason(err) != uma.Denied || answer != nil || len(w.Settlements) != 1 || len(w.Signed) != 0 {
		t.Fatalf("got %v, %v after %d commits", answer, err, len(w.Settlements))
	}
	if st := w.Settlements[0]; st.Records[0].Outcome != "error" || len(st.Requests) != 0 || st.Ticket == nil {
		t.Errorf("got %+v", st)
	}
}

// All evaluations of a request together have a deadline: that of so many evaluations.
func TestEvaluationsHaveOneDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Snap.Realm.Policy.Timeout = time.Hour
	var deadline time.Time
	w.service.Policy = deadlinePolicy{w, &deadline}
	if _, err := w.bob(&Request{Permissions: asked("r-board")}); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(deadline); left > requestTimeouts*time.Hour || left < (requestTimeouts-1)*time.Hour {
		t.Errorf("got a deadline in %v, want %v", left, requestTimeouts*time.Hour)
	}
}

// A deadlinePolicy notes the deadline of its evaluations.
type deadlinePolicy struct {
	uma.Evaluator
	deadline *time.Time
}

func (p deadlinePolicy) Prepare(context.Context, *uma.Realm) (uma.Evaluator, error) { return p, nil }

func (p deadlinePolicy) Decide(ctx context.Context, in *uma.Input) (*uma.Evaluation, error) {
	*p.deadline, _ = ctx.Deadline()
	return p.Evaluator.Decide(ctx, in)
}
