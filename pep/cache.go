package pep

import (
	"container/list"
	"sync"
	"time"
)

// cache holds at most size values, each until its expiry. When it is full, the least recently used one is removed.
type cache[K comparable, V any] struct {
	size  int
	mu    sync.Mutex
	items map[K]*list.Element
	order *list.List // the most recently used first
}

type cached[K comparable, V any] struct {
	key   K
	value V
	until time.Time
}

func newCache[K comparable, V any](size int) *cache[K, V] {
	return &cache[K, V]{size: size, items: make(map[K]*list.Element), order: list.New()}
}

func (c *cache[K, V]) get(key K, now time.Time) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var none V
	el, ok := c.items[key]
	if !ok {
		return none, false
	}
	item := el.Value.(cached[K, V])
	if !now.Before(item.until) {
		c.remove(el)
		return none, false
	}
	c.order.MoveToFront(el)
	return item.value, true
}

func (c *cache[K, V]) put(key K, value V, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.items[key]; ok {
		c.remove(el)
	}
	c.items[key] = c.order.PushFront(cached[K, V]{key, value, until})
	if c.order.Len() > c.size {
		c.remove(c.order.Back())
	}
}

// drop removes every value for which match returns true.
func (c *cache[K, V]) drop(match func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, el := range c.items {
		if match(el.Value.(cached[K, V]).value) {
			c.remove(el)
		}
	}
}

func (c *cache[K, V]) remove(el *list.Element) {
	delete(c.items, el.Value.(cached[K, V]).key)
	c.order.Remove(el)
}
