package recent

import "sync"

// A Budget is how many bytes the values of several Sized have together. When their young
// generations have half of it, those of all become the old ones.
type Budget struct {
	half int

	mu    sync.Mutex
	young int // bytes of the young generations
	age   []func()
}

// NewBudget returns a Budget of so many bytes.
func NewBudget(bytes int) *Budget { return &Budget{half: bytes / 2} }

// A Sized is a Cache that is bounded by the bytes of its values, as the caller counts them,
// and counts what it is asked for. Its methods may be called at the same time; those of nil
// find and keep nothing.
type Sized[K comparable, V any] struct {
	budget     *Budget
	young, old generation[K, V]
	hits       int64
	misses     int64
}

type generation[K comparable, V any] struct {
	values map[K]sizedValue[K, V]
	bytes  int
}

type sizedValue[K comparable, V any] struct {
	key   K
	value V
	bytes int
}

// Stats are what a cache holds and how it was used.
type Stats struct {
	Bytes, Entries int
	Hits, Misses   int64
}

// NewSized returns an empty Sized that shares a budget with the others of it. It keeps no
// value of more than half of the budget.
func NewSized[K comparable, V any](b *Budget) *Sized[K, V] {
	c := &Sized[K, V]{budget: b}
	c.young.values = make(map[K]sizedValue[K, V])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.age = append(b.age, c.ages)
	return c
}

// Get returns the value of a key.
func (c *Sized[K, V]) Get(key K) (v V, ok bool) {
	if c == nil {
		return v, false
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	s, ok := c.young.values[key]
	if !ok {
		if s, ok = c.old.values[key]; ok {
			c.keep(s)
		}
	}
	if ok {
		c.hits++
	} else {
		c.misses++
	}
	return s.value, ok
}

// Put keeps v instead of the value that the key has. bytes are those of v and its key.
func (c *Sized[K, V]) Put(key K, v V, bytes int) {
	if c == nil {
		return
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	c.budget.young -= c.young.remove(key)
	c.old.remove(key)
	if bytes <= c.budget.half {
		c.keep(sizedValue[K, V]{key, v, bytes})
	}
}

// keep moves a value to the young generation, which does not have it.
func (c *Sized[K, V]) keep(s sizedValue[K, V]) {
	c.old.remove(s.key)
	if c.budget.young+s.bytes > c.budget.half {
		for _, age := range c.budget.age {
			age()
		}
		c.budget.young = 0
	}
	c.young.values[s.key] = s
	c.young.bytes += s.bytes
	c.budget.young += s.bytes
}

// ages makes the young generation the old one.
func (c *Sized[K, V]) ages() {
	c.old, c.young = c.young, generation[K, V]{values: make(map[K]sizedValue[K, V])}
}

// remove returns the bytes of what it removed.
func (g *generation[K, V]) remove(key K) int {
	s := g.values[key]
	g.bytes -= s.bytes
	delete(g.values, key)
	return s.bytes
}

// All returns a copy of the values, by key.
func (c *Sized[K, V]) All() map[K]V {
	if c == nil {
		return nil
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	all := make(map[K]V, len(c.young.values)+len(c.old.values))
	for _, g := range []generation[K, V]{c.old, c.young} {
		for key, s := range g.values {
			all[key] = s.value
		}
	}
	return all
}

// Clear forgets all values.
func (c *Sized[K, V]) Clear() {
	if c == nil {
		return
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	c.budget.young -= c.young.bytes
	c.old, c.young = generation[K, V]{}, generation[K, V]{values: make(map[K]sizedValue[K, V])}
}

// Stats returns what the cache holds and how it was used.
func (c *Sized[K, V]) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	return Stats{
		Bytes: c.young.bytes + c.old.bytes, Entries: len(c.young.values) + len(c.old.values),
		Hits: c.hits, Misses: c.misses,
	}
}
