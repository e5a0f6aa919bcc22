package trust

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// A Network is how documents are fetched. The zero value is the machine's own; tests have
// another one.
type Network struct {
	Lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	Connect func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	Proxy   func(*http.Request) (*url.URL, error) // nil: by HTTPS_PROXY and NO_PROXY
	Roots   *x509.CertPool                        // of sources without a CA of their own; nil: the system's
	Timeout time.Duration                         // of a fetch; 0: five seconds
}

// transport returns a transport for one request. It checks each address after the name is
// resolved and before it connects, so that a name cannot lead elsewhere in between. A proxy
// resolves the name itself: then the addresses that it has here are checked.
func (n *Network) transport(ctx context.Context, from *source, u *url.URL) (*http.Transport, error) {
	switch {
	case u.Scheme == "https", u.Scheme == "http" && from.AllowPrivate:
	default:
		return nil, errors.New("the URL does not begin with https://")
	}
	g := &guard{network: n, allowPrivate: from.AllowPrivate, loopback: u.Scheme == "http"}
	roots := n.Roots
	if from.CA != nil {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(from.CA) {
			return nil, errors.New("ca_file has no certificate in PEM")
		}
	}
	t := &http.Transport{
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	proxy := n.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	through, err := proxy(&http.Request{URL: u})
	if err != nil || through == nil {
		return t, err
	}
	if _, err := g.addresses(ctx, u.Hostname()); err != nil {
		return nil, err
	}
	t.Proxy = http.ProxyURL(through)
	t.DialContext = nil // the operator's own proxy may be anywhere
	return t, nil
}

// A guard checks where a request leads.
type guard struct {
	network      *Network
	allowPrivate bool
	loopback     bool // nowhere else
}

// dial connects to an address of a host, after all of them were checked.
func (g *guard) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w", text, err)
	}
	all, err := g.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	connect := g.network.Connect
	if connect == nil {
		connect = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", to.String())
		}
	}
	var failed error
	for i, a := range all {
		c, err := g.one(ctx, connect, netip.AddrPortFrom(a, uint16(port)), len(all)-i)
		if err == nil {
			return c, nil
		}
		failed = cmp.Or(failed, err)
	}
	return nil, failed
}

// one connects to one of several addresses, with its part of the time that is left.
func (g *guard) one(ctx context.Context, connect func(context.Context, netip.AddrPort) (net.Conn, error), to netip.AddrPort, left int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok {
		part, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
		ctx = part
	}
	return connect(ctx, to)
}

// addresses returns the addresses of a host. One that is refused refuses the host.
func (g *guard) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	all, err := g.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	for _, a := range all {
		if err := g.check(a); err != nil {
			return nil, fmt.Errorf("%s leads to %s: %w", host, a, err)
		}
	}
	return all, nil
}

func (g *guard) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if g.network.Lookup != nil {
		return g.network.Lookup(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

var (
	errPrivate    = errors.New("the address is private (allow_private permits it)")
	errNoAddress  = errors.New("the address is none of a host on the internet")
	errNoLoopback = errors.New("http:// is only for loopback addresses")
)

// check refuses addresses that are not of hosts on the internet (RFC 6890): with allow_private
// private and loopback ones are permitted, but never link-local ones, where clouds keep
// credentials.
func (g *guard) check(a netip.Addr) error {
	a = embedded(a.Unmap().WithZone(""))
	switch {
	case g.loopback && !a.IsLoopback():
		return errNoLoopback
	case a.IsLoopback(), a.IsPrivate(), within(a, private):
		if !g.allowPrivate {
			return errPrivate
		}
		return nil
	case !a.IsGlobalUnicast(), within(a, special):
		return errNoAddress
	}
	return nil
}

var (
	private = []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10")} // of carriers (RFC 6598)

	// special are the other blocks that are of no host on the internet.
	special = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"),
		netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"), netip.MustParsePrefix("fec0::/10"),
	}

	nat64, sixToFour = netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16")
)

// embedded returns the IPv4 address that an IPv6 address leads to by translation (RFC 6052 §2.1,
// RFC 3056 §2).
func embedded(a netip.Addr) netip.Addr {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

func within(a netip.Addr, blocks []netip.Prefix) bool {
	for _, p := range blocks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
