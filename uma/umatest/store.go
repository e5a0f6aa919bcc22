package umatest

import (
	"context"
	"time"

	"example.com/umpire/uma"
)

// A FakeStore embeds the interface: what a test does not expect panics.
type FakeStore struct {
	uma.Store
	W *World
}

func (s FakeStore) View(context.Context) (uma.View, error) {
	s.W.step("view")
	s.W.View.Open++
	return s.W.View, nil
}

func (s FakeStore) CachedView(ctx context.Context) (uma.View, error) { return s.View(ctx) }

func (s FakeStore) Commit(_ context.Context, st *uma.Settlement) error {
	s.W.step("commit")
	s.W.Settlements = append(s.W.Settlements, st)
	if s.W.Commit == nil {
		return nil
	}
	return s.W.Commit(st)
}

func (s FakeStore) Generation(context.Context) (int64, error) {
	s.W.step("reload")
	return s.W.Generation, nil
}

func (s FakeStore) RealmNames(context.Context) ([]string, error) { return []string{"photoz"}, nil }

func (s FakeStore) Snapshot(context.Context, string, time.Time) (*uma.Snapshot, error) {
	return s.W.Snapshot()
}

func (s FakeStore) ApplyRealm(_ context.Context, c *uma.RealmChange) (*uma.RealmReport, error) {
	s.W.Applied = c
	return &uma.RealmReport{}, s.write()
}

func (s FakeStore) AddKey(context.Context, string, uma.SigningKey, time.Time) error { return s.write() }

// Every other write is taken, and counted as one.

func (s FakeStore) write() error {
	s.W.step("write")
	return nil
}

func (s FakeStore) DropRPT(_ context.Context, _ uma.Key, jti string) error {
	s.W.Dropped = append(s.W.Dropped, jti)
	return s.write()
}

func (s FakeStore) SaveTicket(context.Context, uma.Key, *uma.Ticket) error { return s.write() }

func (s FakeStore) StartSession(context.Context, uma.Key, *uma.Session, *uma.RefreshToken) error {
	return s.write()
}

func (s FakeStore) Rotate(context.Context, uma.Key, []byte, *uma.RefreshToken, *uma.RPT, time.Time) error {
	return s.write()
}

func (s FakeStore) CreateResource(context.Context, *uma.Resource, func() string) error {
	return s.write()
}

func (s FakeStore) ReplaceResource(context.Context, *uma.Resource, func() string) error {
	return s.write()
}

func (s FakeStore) DeleteResource(context.Context, uma.Key, uma.ResourceID) error { return s.write() }

func (s FakeStore) FindResources(context.Context, uma.Key, uma.ResourceFilter, int, int, func(*uma.Resource) error) error {
	return nil
}

func (s FakeStore) CreateRequest(context.Context, *uma.Request) error { return s.write() }

func (s FakeStore) DecideRequest(context.Context, uma.Key, string, bool, time.Time) error {
	return s.write()
}

func (s FakeStore) DeleteRequest(context.Context, uma.Key, string) error { return s.write() }
