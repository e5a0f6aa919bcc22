package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/umpire/node"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// A size is how many resources a database has, and how many shares. The resources are boards that
// the resource server photoz-api owns, and albums that alice owns at other-api, each with
// sharesOfAlbum shares. Each has a resource server of its own, because a request for all
// entitlements at a resource server is refused if that owns many resources.
type size struct {
	resources, shares int
}

func (z size) String() string { return fmt.Sprintf("%d/%d", z.resources, z.shares) }

func (z size) albums() int { return z.shares / sharesOfAlbum }

func (z size) boards() int { return z.resources - z.albums() }

// Each album is shared with bob, carol, dave and erin, and with users whom the realm does not
// have; a share is one scope for one user.
const (
	sharedWith    = 10
	sharesOfAlbum = 20 // sharedWith times len(albumScopes)
)

var albumScopes = []uma.Scope{"view", "comment"}

// keptSize is how many rows a database has that is kept for the next run.
const keptSize = 200_000

// database makes the data folder of a size and returns its path. A large one is kept in the
// folder of -data, and used again. Its name has the version of the schema, so that a new schema
// makes a new one. It is complete when it has that name.
//
// The server runs on the kept database itself: a copy of many gigabytes would take longer than
// the measurements, and leave nothing of it in memory. What a run adds is small beside
// it, and removed: the scripts leave as many shares as they found, tokens and tickets expire, and
// umpire.start deletes the records of earlier runs.
func (s setting) database(ctx context.Context, dir string, z size) (string, error) {
	if z.resources+z.shares < keptSize {
		return dir, z.make(ctx, dir, "")
	}
	version, err := schemaVersion()
	if err != nil {
		return "", err
	}
	kept := filepath.Join(s.data, fmt.Sprintf("schema-%s-%d-resources-%d-shares", version, z.resources, z.shares))
	if _, err := os.Stat(kept); err == nil {
		return kept, nil
	}
	fmt.Fprintf(os.Stderr, "making %s, once\n", kept)
	making := kept + "-unfinished" // perhaps of a run that was killed
	if err := os.RemoveAll(making); err != nil {
		return "", err
	}
	if err := z.make(ctx, making, ""); err != nil {
		return "", errors.Join(err, os.RemoveAll(making))
	}
	return kept, os.Rename(making, kept)
}

// schemaVersion is the number of the last migration.
func schemaVersion() (string, error) {
	files, err := filepath.Glob("store/sqlite/migrations/*.sql")
	if err != nil || len(files) == 0 {
		return "", errors.Join(err, errors.New("no migrations: bench runs in the root of the repository"))
	}
	slices.Sort(files)
	return filepath.Base(files[len(files)-1])[:len("00001")], nil
}

// make fills a data folder: the photoz realm, the resources and their shares. It uses the
// store's own methods, so that all rows are as a server makes them. Many calls at the same time
// share commits, and all shares of an album are one call: 10,000,000 shares take half an hour.
// SQL of bench's own would be faster, but a second place that has to follow the schema.
//
// Without a URL of a PostgreSQL the rows are in the folder, too.
func (z size) make(ctx context.Context, dir, url string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	realm, err := realmFile{alg: "ES256"}.write(dir)
	if err != nil {
		return err
	}
	nd, err := node.Open(ctx, node.Config{Data: dir, Database: url, Examine: rollout.InProcess, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nd.Close()) }()
	realms, err := node.ReadRealms([]string{realm}, os.Getenv)
	if err != nil {
		return err
	}
	if err := nd.Load(ctx, realms); err != nil {
		return err
	}
	snap, err := nd.Store.Snapshot(ctx, "photoz", time.Now())
	if err != nil {
		return err
	}
	view, err := nd.Store.View(ctx)
	if err != nil {
		return err
	}
	users := map[string]string{}
	for _, name := range []string{"alice", "bob", "carol", "dave", "erin"} {
		user, err := view.UserByName(ctx, snap.Realm.Key, name)
		if err != nil {
			return errors.Join(err, view.Close())
		}
		users[name] = user.ID
	}
	if err := view.Close(); err != nil {
		return err
	}
	grants := map[string][]uma.Scope{users["bob"]: albumScopes, users["carol"]: albumScopes, users["dave"]: albumScopes, users["erin"]: albumScopes}
	for len(grants) < sharedWith {
		grants[uuid.NewString()] = albumScopes
	}
	boards, albums := snap.Clients["photoz-api"], snap.Clients["other-api"]
	var shares atomic.Int64
	return z.each(ctx, func(i int) error {
		if i < z.boards() {
			return nd.Store.CreateResource(ctx, z.board(i, boards), uuid.NewString)
		}
		r := z.album(i, albums, users["alice"])
		if err := nd.Store.CreateResource(ctx, r, uuid.NewString); err != nil {
			return err
		}
		return nd.Store.ShareResource(ctx, &uma.ShareChange{
			Realm: snap.Realm.Key, Resource: r.Key, Owner: r.Owner, Grants: grants, Now: time.Now(),
			NewID: func() string { return spread(int(shares.Add(1)), z.shares+1) },
		})
	})
}

// each does something for each resource, many at the same time.
func (z size) each(ctx context.Context, do func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < z.resources && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					cancel(err)
				}
				if done := i + 1; done%10_000 == 0 && z.resources+z.shares >= keptSize {
					fmt.Fprintf(os.Stderr, "%s %d of %d resources\n", time.Now().Format(time.TimeOnly), done, z.resources)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// id is the id of a resource of the database.
func (z size) id(i int) uma.ResourceID { return uma.ResourceID(spread(i, z.resources)) }

func (z size) board(i int, rs *uma.Client) *uma.Resource {
	return &uma.Resource{
		ID: z.id(i), Server: rs.Key, Owner: rs.UUID, Name: fmt.Sprintf("Board %07d", i), Type: "board",
		URIs: []string{fmt.Sprintf("/boards/%d", i)}, Scopes: []uma.Scope{"view", "post"},
		Attributes: map[string][]string{"visibility": {"public"}}, Origin: uma.FromAPI,
	}
}

func (z size) album(i int, rs *uma.Client, owner string) *uma.Resource {
	return &uma.Resource{
		ID: z.id(i), Server: rs.Key, Owner: owner, Name: fmt.Sprintf("Album %07d", i), Type: "album",
		URIs: []string{fmt.Sprintf("/albums/%d", i)}, Scopes: albumScopes, OwnerManaged: true,
		Attributes: map[string][]string{"visibility": {"private"}}, Origin: uma.FromAPI,
	}
}

// spread is the ith of n UUIDs, in ascending order and spread over all of the space: rows are
// appended to the indexes, which random ids would write all over and over again, and ids that a
// server makes later fall between them, as they would between random ones.
func spread(i, n int) string {
	const golden = 0x9e3779b97f4a7c15 // makes other bits differ as well
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(float64(i)/float64(n)*(1<<48))<<16|uint64(i)*golden>>48)
	binary.BigEndian.PutUint64(id[8:], uint64(i)*golden^math.MaxUint64)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // the version, 4, and the variant
	return id.String()
}
