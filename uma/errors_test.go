package uma

import (
	"errors"
	"fmt"
	"testing"
)

// The reasons that are OAuth codes carry the code of the specification.
func TestReasonsAreTheCodesOfTheSpecifications(t *testing.T) {
	t.Parallel()
	for reason, want := range map[Reason]string{
		InvalidRequest: "invalid_request", InvalidClient: "invalid_client", InvalidGrant: "invalid_grant",
		UnauthorizedClient: "unauthorized_client", UnsupportedGrantType: "unsupported_grant_type", InvalidScope: "invalid_scope",
		NeedInfo: "need_info", Denied: "request_denied", Submitted: "request_submitted",
		NotAuthorized: "not_authorized", UnusableClaims: "invalid_claim_token", InvalidResource: "invalid_resource",
		NoPAT: "invalid_bearer_token", NotAResourceServer: "invalid_clientId",
		InvalidPermissionRequest: "invalid_permission_request", InvalidResourceID: "invalid_resource_id",
		InvalidPermission: "invalid_permission", NotOwner: "not_authorised", Forbidden: "forbidden",
		InvalidToken: "invalid_token", InsufficientScope: "insufficient_scope",
	} {
		if string(reason) != want {
			t.Errorf("got %q, want %q", reason, want)
		}
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	cause := errors.New("session is unknown")
	tests := []struct {
		err  *Error
		want string
	}{
		{Reject(Denied, Fault{}, nil), "request_denied"},
		{Reject(InvalidGrant, Fault{}, cause), "invalid_grant: session is unknown"},
		{Reject(InvalidScope, Fault{Kind: "scope_unknown", Resource: "r-1", Scopes: []Scope{"a", "b c"}, Limit: 2}, cause), `invalid_scope: scope_unknown resource="r-1" scopes=["a" "b c"] limit=2: session is unknown`},
		{Reject(InvalidRequest, Fault{Kind: Missing, Parameter: "name"}, nil), `invalid_request: missing parameter="name"`},
		// The next ticket is a secret: it goes to the client and not to the log.
		{&Error{Reason: NeedInfo, Ticket: "the-next-ticket"}, "need_info"},
	}
	for _, tc := range tests {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	if err := fmt.Errorf("refresh: %w", Reject(InvalidGrant, Fault{}, cause)); !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if errors.Is(Reject(Denied, Fault{}, nil), cause) {
		t.Error("a cause from nowhere")
	}
}

func TestMovedError(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("settle: %w", &MovedError{Party: true})
	if !errors.Is(err, ErrMoved) || errors.Is(err, ErrSpent) {
		t.Errorf("got %v, want an ErrMoved and no other", err)
	}
	if moved, ok := errors.AsType[*MovedError](err); !ok || !moved.Party {
		t.Errorf("got %v, want that the party has moved", moved)
	}
}

// An error of the store becomes the refusal that it means, keeps its cause, and is this
// server's own trouble if it means none.
func TestTell(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk full")
	for _, tc := range []struct {
		err  error
		want Reason
		kind FaultKind
	}{
		{ErrNotFound, NotFound, "unknown"},
		{&URITakenError{URI: "/a"}, Conflict, "taken"},
		{ErrBusy, Busy, ""},
		{ErrSpent, "", ""},
		{broken, "", ""},
	} {
		err := Tell("read it", fmt.Errorf("store: %w", tc.err),
			Means(ErrNotFound, NotFound, Fault{Kind: "unknown"}), Means(ErrConflict, Conflict, Fault{Kind: "taken"}))
		e, refused := errors.AsType[*Error](err)
		if refused != (tc.want != "") || refused && (e.Reason != tc.want || e.Fault.Kind != tc.kind) || !errors.Is(err, tc.err) {
			t.Errorf("%v: got %v, want %s %s", tc.err, err, tc.want, tc.kind)
		}
		if !refused && err.Error() != "read it: store: "+tc.err.Error() {
			t.Errorf("got %q", err)
		}
	}
}
