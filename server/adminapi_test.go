package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// aToken is a store that has one token, with any hash, and the last use.
type aToken struct {
	uma.AdminTokens
	use uma.AdminUse
}

func (*aToken) AdminToken(context.Context, []byte) (*uma.AdminToken, error) {
	return &uma.AdminToken{ID: "t", Realm: "photoz", Name: "reader", Right: uma.AdminRead}, nil
}

func (s *aToken) BeginAdminUse(_ context.Context, u *uma.AdminUse) error {
	u.Seq = 1
	return nil
}

func (s *aToken) EndAdminUse(_ context.Context, u *uma.AdminUse) error {
	s.use = *u
	return nil
}

// Whatever an operation does, its use is on record with the outcome, within bounds, and
// nothing internal is told.
func TestAdminOperations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		op      admin.Operation
		status  int
		outcome string
	}{
		"reads more than it may": {admin.Operation{Body: 4, Run: func(_ context.Context, c *admin.Call) (any, error) {
			return io.ReadAll(c.Body)
		}}, 413, "too_large"},
		"panics": {admin.Operation{Body: 9, Run: func(context.Context, *admin.Call) (any, error) {
			panic("internal")
		}}, 500, "server_error"},
		"takes too long": {admin.Operation{Body: 9, Timeout: time.Millisecond, Run: func(ctx context.Context, _ *admin.Call) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, 503, "busy"},
		"has much to say": {admin.Operation{Body: 9, Run: func(_ context.Context, c *admin.Call) (any, error) {
			c.Detail = strings.Repeat("ä", 5000)
			return "done", nil
		}}, 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := new(aToken)
			test.op.Name, test.op.Method, test.op.Path, test.op.Right = name, http.MethodPost, "/x", uma.AdminRead
			s := httptest.NewServer(NewAdmin(AdminConfig{
				Metrics: NewMetrics(), Log: slog.New(slog.DiscardHandler), API: &AdminAPI{
					Tokens: &admin.Tokens{Store: store, Now: time.Now}, Operations: []admin.Operation{test.op},
				},
			}))
			defer s.Close()
			body := io.MultiReader(strings.NewReader("12345")) // of unknown length
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/realms/photoz/x", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer umpire_admin_x")
			res, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != test.status || strings.Contains(string(text), "internal") || !json.Valid(text) {
				t.Errorf("got %d %s, %v; want %d", res.StatusCode, text, err, test.status)
			}
			if store.use.Outcome != test.outcome || len(store.use.Detail) > 1024 || !utf8.ValidString(store.use.Detail) {
				t.Errorf("got outcome %q and %d bytes of detail, want %q", store.use.Outcome, len(store.use.Detail), test.outcome)
			}
		})
	}
}
