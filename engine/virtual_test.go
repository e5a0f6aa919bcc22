package engine

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestVirtualCache: the cache does what OPA's does, with few and with many documents.
func TestVirtualCache(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	ref := func() ast.Ref {
		r := ast.Ref{ast.DefaultRootDocument}
		for range 1 + random.IntN(3) {
			r = r.Append(ast.StringTerm(string(rune('a' + random.IntN(5)))))
		}
		return r
	}
	for range 200 {
		var got, want topdown.VirtualCache = newVirtualCache(), topdown.NewVirtualCache()
		depth := 0
		for range 20 + random.IntN(200) {
			switch random.IntN(12) {
			case 0:
				got.Push()
				want.Push()
				depth++
			case 1:
				if depth > 0 {
					got.Pop()
					want.Pop()
					depth--
				}
			case 2, 3, 4:
				r := ref()
				if value, undefined := want.Get(r); value != nil || undefined {
					continue // OPA puts no value twice
				}
				var value *ast.Term
				if random.IntN(4) > 0 {
					value = ast.InternedTerm(random.IntN(100))
				}
				got.Put(r, value)
				want.Put(r, value)
			default:
				r := ref()
				value, undefined := got.Get(r)
				wantValue, wantUndefined := want.Get(r)
				if value != wantValue || undefined != wantUndefined {
					t.Fatalf("%s: got %v, %v, want %v, %v", r, value, undefined, wantValue, wantUndefined)
				}
			}
		}
		if keys, wantKeys := texts(got.Keys()), texts(want.Keys()); !reflect.DeepEqual(keys, wantKeys) {
			t.Fatalf("got %v, want %v", keys, wantKeys)
		}
	}
}

func texts(refs []ast.Ref) []string {
	list := make([]string, len(refs))
	for i := range refs {
		list[i] = refs[i].String()
	}
	slices.Sort(list)
	return list
}
