package server

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma/umatest"
)

// BenchmarkToken is what HTTP costs without a connection: parsing, routing,
// headers, metrics and the answer, with a core that does next to nothing.
func BenchmarkToken(b *testing.B) {
	a, err := wire.NewCore(wire.Parts{
		Store: fakeStore{}, Policy: fakePolicy{}, Issuer: fakeTokens{}, Verifier: fakeTokens{}, Hasher: fakeHasher{}, Trust: &umatest.Trust{}, Wrapper: umatest.Sealer{}, Sealer: umatest.Sealer{},
		PublicURL: "https://as.example.com", Now: func() time.Time { return moment },
		NewID: func() string { return "id" }, NewSerial: func() string { return "serial" },
		Log: func(context.Context, string, ...any) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	h := New(Config{Core: a, Log: slog.New(slog.NewJSONHandler(io.Discard, nil))})
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", tokenURL, strings.NewReader(credsAPI))
		r.Header.Set("Content-Type", formType)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}
