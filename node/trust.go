package node

import "example.com/umpire/server"

// keyStats returns what /metrics shows of the keys of trusted issuers and of clients.
func (n *Node) keyStats() []server.KeyStats {
	var stats []server.KeyStats
	now := n.Now()
	for _, k := range n.trust.Stats() {
		stat := server.KeyStats{Realm: k.Realm, Kind: k.Kind, Name: k.Name, Keys: k.Keys, Failures: k.Failures}
		if !k.Fetched.IsZero() {
			stat.Fetched, stat.Age = true, max(0, now.Sub(k.Fetched))
		}
		stats = append(stats, stat)
	}
	return stats
}
