package recent

import "sync"

// A Cache keeps at least the limit values that were used last, and at most twice as many.
// It has two generations. A value that is used moves to the young one. When that is full
// it becomes the old one, and the values of the former old one are dropped.
// It keeps the keys that were added, never those that were asked for: a key may be a part of a
// large text. Its methods may be called at the same time.
type Cache[K comparable, V any] struct {
	limit int

	mu         sync.Mutex
	young, old map[K]cached[K, V]
}

type cached[K comparable, V any] struct {
	key   K
	value V
}

// New returns an empty Cache, which keeps at least limit values.
func New[K comparable, V any](limit int) *Cache[K, V] {
	return &Cache[K, V]{limit: limit, young: make(map[K]cached[K, V])}
}

// Get returns the value of a key.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, ok := c.young[key]
	if ok {
		return one.value, true
	}
	one, ok = c.old[key]
	if ok {
		c.keep(one)
	}
	return one.value, ok
}

// Add keeps v unless the key has a value already, and returns the value of the key.
func (c *Cache[K, V]) Add(key K, v V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first, ok := c.young[key]; ok {
		return first.value
	}
	c.keep(cached[K, V]{key, v})
	return v
}

// Put keeps v, also if the key has another value.
func (c *Cache[K, V]) Put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(cached[K, V]{key, v})
}

func (c *Cache[K, V]) keep(one cached[K, V]) {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[K]cached[K, V])
	}
	c.young[one.key] = one
}

// Len is how many values are kept.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}
