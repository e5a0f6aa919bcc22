package node

import (
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/server"
	"example.com/umpire/store/memory"
)

// DefaultCacheMemory is how many MiB the caches of rows may have together, and again the cache
// of decisions.
const DefaultCacheMemory = 4

// Caches says which caches a server uses. The zero value uses none.
type Caches struct {
	Memory int // bytes of the caches of rows together, and again of the cache of decisions

	Sessions, Users, Resources, Shares bool // rows of the database
	Decisions                          bool // of policies that are functions of their input
}

// A namedCache is a cache with the name that users know it by.
type namedCache struct {
	name string
	used *bool
}

func (c *Caches) named() []namedCache {
	return []namedCache{{"sessions", &c.Sessions}, {"users", &c.Users}, {"resources", &c.Resources}, {"shares", &c.Shares}, {"decisions", &c.Decisions}}
}

// ParseCaches reads a list of names of caches, separated by commas, or "all" or "none". Their
// memory is the default.
func ParseCaches(list string) (Caches, error) {
	c := Caches{Memory: DefaultCacheMemory << 20}
	known := c.named()
	for _, name := range strings.Split(list, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(known, func(k namedCache) bool { return k.name == name })
		switch {
		case i >= 0:
			*known[i].used = true
		case name == "all" && name == list:
			for _, k := range known {
				*k.used = true
			}
		case name == "none" && name == list:
		default:
			return Caches{}, fmt.Errorf("want all, none, or a list of sessions, users, resources, shares and decisions, separated by commas, not %q", list)
		}
	}
	return c, nil
}

// memo is how many bytes the cache of decisions may have.
func (c *Caches) memo() int {
	if !c.Decisions {
		return 0
	}
	return c.Memory
}

// ofRows are the caches of the store.
func (c *Caches) ofRows() memory.Caches {
	return memory.Caches{Memory: c.Memory, Sessions: c.Sessions, Users: c.Users, Resources: c.Resources, Shares: c.Shares}
}

// cacheStats returns what /metrics shows of the caches.
func (n *Node) cacheStats() []server.CacheStats {
	stats := n.Store.CacheStats()
	if n.Caches.memo() > 0 {
		stats["decisions"] = n.engine.MemoStats()
	}
	var all []server.CacheStats
	for name, s := range stats {
		all = append(all, server.CacheStats{Cache: name, Bytes: s.Bytes, Entries: s.Entries, Hits: s.Hits, Misses: s.Misses})
	}
	return all
}
