package token

import "sync"

// A cache keeps at least the limit values that were used last, and at most twice as many.
// It has two generations. A value that is used moves to the young one. When that is full
// it becomes the old one, and the values of the former old one are dropped.
type cache[K comparable, V any] struct {
	limit int

	mu         sync.Mutex
	young, old map[K]V
}

func newCache[K comparable, V any](limit int) *cache[K, V] {
	return &cache[K, V]{limit: limit, young: make(map[K]V)}
}

func (c *cache[K, V]) get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.young[key]
	if ok {
		return v, true
	}
	v, ok = c.old[key]
	if ok {
		c.keep(key, v)
	}
	return v, ok
}

// add keeps v unless the key has a value already, and returns the value of the key.
func (c *cache[K, V]) add(key K, v V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first, ok := c.young[key]; ok {
		return first
	}
	c.keep(key, v)
	return v
}

func (c *cache[K, V]) keep(key K, v V) {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[K]V)
	}
	c.young[key] = v
}
