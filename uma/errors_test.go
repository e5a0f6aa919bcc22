package uma_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// The reasons that are OAuth codes carry the code of the specification.
func TestReasonsAreTheCodesOfTheSpecifications(t *testing.T) {
	t.Parallel()
	for reason, want := range map[uma.Reason]string{
		uma.InvalidRequest: "invalid_request", uma.InvalidClient: "invalid_client", uma.InvalidGrant: "invalid_grant",
		uma.UnauthorizedClient: "unauthorized_client", uma.UnsupportedGrantType: "unsupported_grant_type", uma.InvalidScope: "invalid_scope",
		uma.NeedInfo: "need_info", uma.Denied: "request_denied", uma.Submitted: "request_submitted",
		uma.NotAuthorized: "not_authorized", uma.UnusableClaims: "invalid_claim_token", uma.InvalidResource: "invalid_resource",
		uma.NoPAT: "invalid_bearer_token", uma.NotAResourceServer: "invalid_clientId",
		uma.InvalidPermissionRequest: "invalid_permission_request", uma.InvalidResourceID: "invalid_resource_id",
		uma.InvalidPermission: "invalid_permission", uma.NotOwner: "not_authorised", uma.Forbidden: "forbidden",
		uma.InvalidToken: "invalid_token", uma.InsufficientScope: "insufficient_scope",
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
		err  *uma.Error
		want string
	}{
		{uma.Refuse(uma.Denied, "", nil), "request_denied"},
		{uma.Refuse(uma.InvalidScope, "Scope [x] is invalid", nil), "invalid_scope: Scope [x] is invalid"},
		{uma.Refuse(uma.InvalidGrant, "", cause), "invalid_grant: session is unknown"},
		{uma.Refuse(uma.InvalidGrant, "Session not active", cause), "invalid_grant: Session not active: session is unknown"},
		// The next ticket is a secret: it goes to the client and not to the log.
		{&uma.Error{Reason: uma.NeedInfo, Ticket: "the-next-ticket"}, "need_info"},
	}
	for _, tc := range tests {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	if err := fmt.Errorf("refresh: %w", uma.Refuse(uma.InvalidGrant, "", cause)); !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if errors.Is(uma.Refuse(uma.Denied, "", nil), cause) {
		t.Error("a cause from nowhere")
	}
}

func TestMovedError(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("settle: %w", &uma.MovedError{Party: true})
	if !errors.Is(err, uma.ErrMoved) || errors.Is(err, uma.ErrSpent) {
		t.Errorf("got %v, want an ErrMoved and no other", err)
	}
	if moved, ok := errors.AsType[*uma.MovedError](err); !ok || !moved.Party {
		t.Errorf("got %v, want that the party has moved", moved)
	}
}

func TestValidateNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	err := (&uma.Authority{}).Validate()
	for _, part := range []string{"Store", "Policy", "Issuer", "Verifier", "Hasher", "PublicURL", "Now", "NewID", "NewSerial", "Log"} {
		if err == nil || !strings.Contains(err.Error(), "authority has no "+part) {
			t.Errorf("got %v, want that it names %s", err, part)
		}
	}
}
