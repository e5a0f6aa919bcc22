package umatest

import (
	"context"
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// The policies of a world are those of its shares that are no requests.

func (v *View) Share(_ context.Context, server uma.Key, id string) (*uma.Share, error) {
	var found *uma.Share
	for i := range v.Shares {
		if s := &v.Shares[i]; s.Kind == uma.ByPolicy && s.ID == id && s.Server == server {
			found = s
		}
	}
	return row(v.read("Share"), found)
}

func (v *View) FindShares(_ context.Context, _ uma.Key, owner string, f uma.UserPolicyFilter, first, most int) ([]*uma.Share, error) {
	var found []*uma.Share
	for i := range v.Shares {
		if s := &v.Shares[i]; s.Kind == uma.ByPolicy && s.Owner == owner && s.Name > f.After {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *uma.Share) int { return strings.Compare(a.Name, b.Name) })
	found = found[min(first, len(found)):]
	return found[:min(most, len(found))], v.read("FindShares")
}

func (s FakeStore) CreateShare(context.Context, *uma.Share) error { return s.write() }

func (s FakeStore) ReplaceShare(context.Context, *uma.Share) error { return s.write() }

func (s FakeStore) DeleteShare(context.Context, uma.Key, string) error { return s.write() }
