package wire

import (
	"net/netip"
	"strings"
)

// ClientIP is the address of who connected, remote as net/http writes it. If
// that is a trusted proxy it is the last address that X-Forwarded-For names and
// that is no trusted proxy itself: what stands before it anyone may have written.
//
// It is "" if a trusted proxy names no valid address (`unknown`, or nothing): the
// proxy's own address would be taken for the client's, and proxies are in the networks
// that policies trust most.
func ClientIP(remote string, forwarded []string, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	ip := peer.Addr().Unmap()
	var hops []string
	if trusts(trusted, ip) && len(forwarded) > 0 {
		hops = strings.Split(strings.Join(forwarded, ","), ",")
	}
	for i := len(hops) - 1; i >= 0 && trusts(trusted, ip); i-- {
		var ok bool
		if ip, ok = hopAddress(strings.TrimSpace(hops[i])); !ok {
			return ""
		}
	}
	return ip.WithZone("").String()
}

// hopAddress reads an address as proxies write it: with a port or without, an
// IPv6 address in brackets or bare.
func hopAddress(hop string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap(), true
	}
	if inner, ok := strings.CutPrefix(hop, "["); ok {
		if hop, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(hop, ":") {
			return netip.Addr{}, false
		}
	}
	ip, err := netip.ParseAddr(hop)
	return ip.Unmap(), err == nil
}

func trusts(trusted []netip.Prefix, ip netip.Addr) bool {
	for _, p := range trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
