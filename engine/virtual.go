package engine

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// A virtualCache keeps the values of the documents that an evaluation has computed. OPA's own
// is a tree of maps, which takes a sixth of the allocations of a small evaluation. This is a
// list, and behind it OPA's for evaluations of many documents.
type virtualCache struct {
	terms   []*ast.Term // of all references
	entries []computed
	layers  []layer

	// The lists begin in these arrays, so that most evaluations allocate one object.
	firstTerms   [80]*ast.Term
	firstEntries [listed]computed
	firstLayers  [2]layer
}

// listed is how many documents of a layer are in the list.
const listed = 16

// A computed is a document: its reference is terms[from:to]. Its value is nil if it is
// undefined.
type computed struct {
	from, to int
	value    *ast.Term
}

// A layer has the documents of the evaluation, or of an expression that replaces documents.
type layer struct {
	first int                  // its first entry
	more  topdown.VirtualCache // the documents that are not in the list; nil if there are none
}

func newVirtualCache() *virtualCache {
	c := new(virtualCache)
	c.terms, c.entries, c.layers = c.firstTerms[:0], c.firstEntries[:0], c.firstLayers[:0]
	c.Push()
	return c
}

func (c *virtualCache) top() *layer { return &c.layers[len(c.layers)-1] }

// Push implements topdown.VirtualCache.
func (c *virtualCache) Push() { c.layers = append(c.layers, layer{first: len(c.entries)}) }

// Pop implements topdown.VirtualCache.
func (c *virtualCache) Pop() {
	first := c.top().first
	if first < len(c.entries) {
		c.terms = c.terms[:c.entries[first].from]
	}
	c.entries = c.entries[:first]
	c.layers = c.layers[:len(c.layers)-1]
}

// Get implements topdown.VirtualCache.
func (c *virtualCache) Get(ref ast.Ref) (value *ast.Term, undefined bool) {
	f := c.top()
	for i := len(c.entries) - 1; i >= f.first; i-- {
		if e := &c.entries[i]; equalRefs(c.terms[e.from:e.to], ref) {
			return e.value, e.value == nil
		}
	}
	if f.more != nil {
		return f.more.Get(ref)
	}
	return nil, false
}

// equalRefs compares from the end, because most references begin alike.
func equalRefs(a, b ast.Ref) bool {
	if len(a) != len(b) {
		return false
	}
	for i := len(a) - 1; i >= 0; i-- {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// Put implements topdown.VirtualCache.
func (c *virtualCache) Put(ref ast.Ref, value *ast.Term) {
	f := c.top()
	if len(c.entries)-f.first == listed {
		if f.more == nil {
			f.more = topdown.NewVirtualCache()
		}
		f.more.Put(ref, value)
		return
	}
	from := len(c.terms)
	c.terms = append(c.terms, ref...)
	c.entries = append(c.entries, computed{from, len(c.terms), value})
}

// Keys implements topdown.VirtualCache.
func (c *virtualCache) Keys() []ast.Ref {
	f := c.top()
	var keys []ast.Ref
	for _, e := range c.entries[f.first:] {
		if e.value != nil {
			keys = append(keys, slices.Clone(c.terms[e.from:e.to]))
		}
	}
	if f.more != nil {
		keys = append(keys, f.more.Keys()...)
	}
	return keys
}
