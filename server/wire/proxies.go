package wire

import (
	"net/netip"
	"strings"
)

// ClientIP is the address of who connected, remote as net/http writes it. If
// that is a trusted proxy it is the last address that X-Forwarded-For names and
// that is no trusted proxy itself: what stands before it anyone may have written.
func ClientIP(remote string, forwarded []string, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	ip := peer.Addr().Unmap()
	var hops []string
	if trusts(trusted, ip) {
		hops = strings.Split(strings.Join(forwarded, ","), ",")
	}
	for i := len(hops) - 1; i >= 0 && trusts(trusted, ip); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		ip = hop.Unmap()
	}
	return ip.WithZone("").String()
}

func trusts(trusted []netip.Prefix, ip netip.Addr) bool {
	for _, p := range trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
