package trust

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/uma"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{ // public, private, never
		"8.8.8.8": "public", "2606:4700::1111": "public", "100.63.255.255": "public", "100.128.0.0": "public", "172.32.0.1": "public",
		"64:ff9b::8.8.8.8": "public", "::ffff:8.8.8.8": "public", "2002:808:808::1": "public",

		"127.0.0.1": "private", "127.255.255.254": "private", "::1": "private", "::ffff:127.0.0.1": "private",
		"10.0.0.1": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.1.1": "private", "::ffff:10.0.0.1": "private",
		"fd00::1": "private", "fc00::1": "private", "100.64.0.1": "private", "100.127.255.255": "private", "::ffff:100.64.0.1": "private",
		"64:ff9b::10.0.0.1": "private", "64:ff9b::127.0.0.1": "private", "2002:a00:1::": "private", "2002:7f00:1::": "private",

		"169.254.169.254": "never", "::ffff:169.254.169.254": "never", "fe80::1": "never", "fe80::1%eth0": "never", "64:ff9b::169.254.169.254": "never",
		"0.0.0.0": "never", "0.1.2.3": "never", "::": "never", "::ffff:0.0.0.0": "never", "::127.0.0.1": "never", "64:ff9b::0.0.0.0": "never",
		"224.0.0.1": "never", "255.255.255.255": "never", "240.0.0.1": "never", "192.0.0.8": "never", "192.0.2.1": "never",
		"198.18.0.1": "never", "198.51.100.1": "never", "203.0.113.1": "never", "ff02::1": "never", "64:ff9b:1::1": "never",
		"2001:db8::1": "never", "2001::1": "never", "100::1": "never", "fec0::1": "never", "5f00::1": "never", "3fff::1": "never",
	} {
		a := netip.MustParseAddr(address)
		got := "never"
		switch {
		case (&guard{}).check(a) == nil:
			got = "public"
		case (&guard{allowPrivate: true}).check(a) == nil:
			got = "private"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
		if err := (&guard{allowPrivate: true, loopback: true}).check(a); (err == nil) != (a.Unmap().IsLoopback() || strings.Contains(address, "127.0.0.1") && want == "private" || address == "2002:7f00:1::") {
			t.Errorf("%s over http: got %v", address, err)
		}
	}
}

// A net is one in which names have addresses, and every connection that is made ends at one
// server.
type fakeNet struct {
	names     map[string][]string
	to        string // host:port
	lookups   atomic.Int64
	connected atomic.Pointer[netip.AddrPort]
}

func (n *fakeNet) network(server *httptest.Server) Network {
	n.to = server.Listener.Addr().String()
	pool := x509.NewCertPool()
	if c := server.Certificate(); c != nil {
		pool.AddCert(c)
	}
	return Network{
		Roots: pool, Timeout: time.Minute,
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			n.lookups.Add(1)
			var all []netip.Addr
			for _, a := range n.names[host] {
				all = append(all, netip.MustParseAddr(a))
			}
			if all == nil {
				return nil, errors.New("no such host")
			}
			return all, nil
		},
		Connect: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			n.connected.Store(&to)
			if to.Addr() == netip.MustParseAddr("8.8.4.4") { // is down
				return nil, errors.New("connection refused")
			}
			return new(net.Dialer).DialContext(ctx, "tcp", n.to)
		},
	}
}

func keyServer(t *testing.T, tls bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[` + jwk(t, &rsaKey.PublicKey, "first", "RS256") + `]}`))
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// Where a URL leads is checked after its name is resolved, and nothing connects elsewhere.
func TestGuard(t *testing.T) {
	t.Parallel()
	server := keyServer(t, true)
	names := map[string][]string{ // the certificate is for these
		"example.com":          {"8.8.4.4", "8.8.8.8"},
		"private.example.com":  {"10.0.0.1"},
		"mixed.example.com":    {"8.8.8.8", "127.0.0.1"},
		"mapped.example.com":   {"::ffff:127.0.0.1"},
		"nat64.example.com":    {"64:ff9b::a00:1"},
		"carrier.example.com":  {"100.64.0.1"},
		"metadata.example.com": {"169.254.169.254"},
	}
	for _, c := range []struct {
		url   string
		allow bool
		want  string // in the error; empty: it is fetched
	}{
		{"https://example.com/keys", false, ""},
		{"https://private.example.com/keys", false, "address is private"},
		{"https://private.example.com/keys", true, ""},
		{"https://mixed.example.com/keys", false, "address is private"},
		{"https://mapped.example.com/keys", false, "address is private"},
		{"https://nat64.example.com/keys", false, "address is private"},
		{"https://carrier.example.com/keys", false, "address is private"},
		{"https://metadata.example.com/keys", true, "none of a host"},
		{"https://127.0.0.1/keys", false, "address is private"},
		{"https://[::1]/keys", false, "address is private"},
		{"https://[::ffff:7f00:1]/keys", false, "address is private"},
		{"https://2130706433/keys", false, "no such host"},
		{"https://nowhere.example.com/keys", false, "no such host"},
		{"http://example.com/keys", false, "does not begin with https"},
		{"http://example.com/keys", true, "only for loopback"},
		{"ftp://example.com/keys", true, "does not begin with https"},
		{"https:///keys", true, "not a URL"},
		{"https://example.com/keys#x", true, "not a URL"},
		{"keys", true, "not a URL"},
	} {
		n := &fakeNet{names: names}
		s := &Service{Network: n.network(server), Now: time.Now}
		text, err := s.get(t.Context(), &source{AllowPrivate: c.allow}, c.url)
		switch {
		case c.want == "" && (err != nil || len(text) == 0):
			t.Errorf("%s: got %v", c.url, err)
		case c.want != "" && err == nil:
			t.Errorf("%s: got a document, want %q", c.url, c.want)
		case c.want != "" && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: got %v, want %q", c.url, err, c.want)
		case c.want != "" && n.connected.Load() != nil:
			t.Errorf("%s: connected to %s", c.url, n.connected.Load())
		}
	}
}

// A name that leads elsewhere at the next look is connected to at the address that was checked.
func TestRebinding(t *testing.T) {
	t.Parallel()
	n := &fakeNet{names: map[string][]string{"example.com": {"8.8.8.8"}}}
	network := n.network(keyServer(t, true))
	first := network.Lookup
	network.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
		if n.lookups.Load() > 0 {
			t.Error("the name is resolved twice")
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return first(ctx, host)
	}
	s := &Service{Network: network, Now: time.Now}
	if _, err := s.get(t.Context(), &source{}, "https://example.com/"); err != nil {
		t.Fatal(err)
	}
	if got := n.connected.Load().String(); got != "8.8.8.8:443" {
		t.Errorf("connected to %s", got)
	}
}

// A certificate counts if the CA of the issuer signed it: its own, if it has one, alone.
func TestCA(t *testing.T) {
	t.Parallel()
	server := keyServer(t, true)
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, c := range map[string]struct {
		ca    []byte
		known bool // to the system
		want  bool
	}{
		"by the system":                {nil, true, true},
		"unknown to the system":        {nil, false, false},
		"by its own":                   {own, false, true},
		"no certificate":               {[]byte("-----BEGIN NOTHING-----"), true, false},
		"empty":                        {[]byte{}, true, false},
		"another, known to the system": {otherCA(t), true, false},
	} {
		n := &fakeNet{names: map[string][]string{"example.com": {"8.8.8.8"}}}
		network := n.network(server)
		if !c.known {
			network.Roots = x509.NewCertPool()
		}
		s := &Service{Network: network, Now: time.Now}
		if _, err := s.get(t.Context(), &source{CA: c.ca}, "https://example.com/"); (err == nil) != c.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func otherCA(t *testing.T) []byte {
	t.Helper()
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &rsaKey.PublicKey, rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// An egress proxy is asked for public targets alone.
func TestProxy(t *testing.T) {
	t.Parallel()
	server := keyServer(t, true)
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		http.Error(w, "no", http.StatusTeapot)
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	n := &fakeNet{names: map[string][]string{"example.com": {"8.8.8.8"}, "private.example.com": {"10.0.0.1"}}}
	network := n.network(server)
	network.Proxy = func(*http.Request) (*url.URL, error) { return at, nil }
	s := &Service{Network: network, Now: time.Now}
	for _, to := range []string{"https://example.com/", "https://private.example.com/", "https://127.0.0.1/", "https://nowhere.example.com/"} {
		if _, err := s.get(t.Context(), &source{}, to); err == nil {
			t.Errorf("%s: no error", to)
		}
	}
	if got := strings.Join(asked, ", "); got != "CONNECT example.com:443" {
		t.Errorf("the proxy was asked for %s", got)
	}
}

// Keys are found by discovery, with one slash at the end of the issuer left out.
func TestDiscoveryURL(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]string{
		"https://a.example.com":      "https://a.example.com/.well-known/openid-configuration",
		"https://a.example.com/":     "https://a.example.com/.well-known/openid-configuration",
		"https://a.example.com/b/":   "https://a.example.com/b/.well-known/openid-configuration",
		"https://a.example.com/b//":  "https://a.example.com/b//.well-known/openid-configuration",
		"https://a.example.com/b/v2": "https://a.example.com/b/v2/.well-known/openid-configuration",
	} {
		if got := discoveryURL(issuer); got != want {
			t.Errorf("%s: got %s, want %s", issuer, got, want)
		}
	}
}

// Without a network of its own a service uses the machine's: localhost is refused after it is
// resolved.
func TestMachine(t *testing.T) {
	t.Parallel()
	s := &Service{Now: time.Now, Network: Network{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }}}
	if _, err := s.get(t.Context(), &source{}, "https://localhost:1/"); !errors.Is(err, errPrivate) {
		t.Errorf("got %v", err)
	}
	if _, err := s.get(t.Context(), issuerSource(uma.NewSnapshot(uma.Realm{}, nil, nil), &uma.TrustedIssuer{AllowPrivate: true}), keyServer(t, false).URL); err != nil {
		t.Errorf("got %v", err)
	}
}
