package wire

import (
	"encoding/base64"
	"net/netip"
	"testing"
)

func TestBasicCredentials(t *testing.T) {
	t.Parallel()
	tests := []struct{ raw, id, secret string }{
		{"photoz-api:secret", "photoz-api", "secret"},
		{"photoz%2Dapi:s%3Acret", "photoz-api", "s:cret"},
		{"a+b:c+d", "a+b", "c+d"},
		{"id:100%", "id", "100%"},
		{"id:a:b", "id", "a:b"},
		{"id:", "id", ""},
	}
	for _, tt := range tests {
		id, secret, ok := basicCredentials(base64.StdEncoding.EncodeToString([]byte(tt.raw)))
		if !ok || id != tt.id || secret != tt.secret {
			t.Errorf("%q: got %q, %q, %v", tt.raw, id, secret, ok)
		}
	}
	for _, bad := range []string{"", "%%%", base64.StdEncoding.EncodeToString([]byte("no colon")), base64.StdEncoding.EncodeToString([]byte("a%00:b"))} {
		if _, _, ok := basicCredentials(bad); ok {
			t.Errorf("%q is taken for credentials", bad)
		}
	}
}

func TestClientIP(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	tests := []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"no proxy", "192.0.2.7:1234", nil, "192.0.2.7"},
		{"a stranger's header", "192.0.2.7:1234", []string{"203.0.113.1"}, "192.0.2.7"},
		{"one proxy", "10.1.1.1:80", []string{"203.0.113.1"}, "203.0.113.1"},
		{"two proxies", "10.1.1.1:80", []string{"203.0.113.1, 10.2.2.2"}, "203.0.113.1"},
		{"made up in front", "10.1.1.1:80", []string{"127.0.0.1, 203.0.113.1", "10.2.2.2"}, "203.0.113.1"},
		{"proxies alone", "10.1.1.1:80", []string{"10.3.3.3"}, "10.3.3.3"},
		{"no header", "10.1.1.1:80", nil, "10.1.1.1"},
		{"no address behind the proxy", "10.1.1.1:80", []string{"203.0.113.1, unknown"}, ""},
		{"no address behind two proxies", "10.1.1.1:80", []string{"203.0.113.1, _hidden, 10.2.2.2"}, ""},
		{"no address where nobody looks", "10.1.1.1:80", []string{"unknown, 203.0.113.1"}, "203.0.113.1"},
		{"a comma at the end", "10.1.1.1:80", []string{"203.0.113.9, "}, ""},
		{"an empty header", "10.1.1.1:80", []string{""}, ""},
		{"a port", "10.1.1.1:80", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		{"no port", "10.1.1.1:80", []string{"203.0.113.9:"}, ""},
		{"too great a port", "10.1.1.1:80", []string{"203.0.113.9:70000"}, ""},
		{"a proxy's port", "10.1.1.1:80", []string{"203.0.113.9, 10.2.2.2:80"}, "203.0.113.9"},
		{"IPv6 with a port", "10.1.1.1:80", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv6 in brackets", "10.1.1.1:80", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 half in brackets", "10.1.1.1:80", []string{"[2001:db8::1"}, ""},
		{"IPv4 in brackets", "10.1.1.1:80", []string{"[203.0.113.9]"}, ""},
		{"mapped with a port", "10.1.1.1:80", []string{"[::ffff:203.0.113.9]:80"}, "203.0.113.9"},
		{"mapped", "[::ffff:192.0.2.7]:80", nil, "192.0.2.7"},
		{"IPv6", "[::1]:80", []string{"2001:db8::1"}, "2001:db8::1"},
		{"no address at all", "@", []string{"203.0.113.1"}, ""},
	}
	for _, tt := range tests {
		if got := ClientIP(tt.remote, tt.forwarded, trusted); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	got := printable("a \"b\" \\ c\r\nSet-Cookie: é\x7f!~")
	if want := "a 'b' %5C c??Set-Cookie: ??!~"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOwnOrigin(t *testing.T) {
	t.Parallel()
	const origin = "https://as.example.com"
	for url, want := range map[string]bool{
		origin: true, origin + "/auth": true,
		"https://as.example.com:8443": false, "https://as.example.com.evil": false, "http://as.example.com": false, "": false,
	} {
		if got := ownOrigin(url, origin); got != want {
			t.Errorf("%s: got %v, want %v", url, got, want)
		}
	}
}
