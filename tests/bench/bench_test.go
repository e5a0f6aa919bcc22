package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	s, err := parse([]string{"-only", "soak,cold", "-sizes", "500,1000/100", "-callers", "4", "-caches", "none,all", "-seconds", "0.5", "-soak", "1m", "-data", "here"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := setting{
		umpire: "bin/umpire", data: "here", parts: []string{"soak", "cold"}, sizes: []size{{500, 0}, {1000, 100}}, callers: []int{4},
		caches: []caching{{"none", "none"}, {"all", ""}}, each: 500 * time.Millisecond, soak: time.Minute,
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

// TestFlagsUnset: all parts but the one that measures nothing, with a soak of ten minutes.
func TestFlagsUnset(t *testing.T) {
	t.Setenv("UMPIRE_BENCH_DATA", "")
	t.Setenv("XDG_CACHE_HOME", "/cache")
	s, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.parts, " "); got != "evaluation decisions postgres postgres-sizes cold tickets shares trusted impact soak" {
		t.Errorf("parts: got %s", got)
	}
	if got := fmt.Sprint(s.sizes, s.callers, s.soak); got != "[1000/100 1000000/10000000] [16 64] 10m0s" {
		t.Errorf("got %s", got)
	}
	if want := filepath.Join("/cache", "umpire-bench"); s.data != want {
		t.Errorf("data: got %s, want %s", s.data, want)
	}
	t.Setenv("UMPIRE_BENCH_DATA", "/elsewhere")
	if s, err = parse(nil, io.Discard); err != nil || s.data != "/elsewhere" {
		t.Errorf("UMPIRE_BENCH_DATA: got %s, %v", s.data, err)
	}
}

func TestFlagsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-only", "sauna"}, {"-only", ""}, {"-only", "soak,"},
		{"-sizes", "0"}, {"-sizes", "-1"}, {"-sizes", "10x"}, {"-sizes", "10/"}, {"-sizes", "1000/10"}, {"-sizes", "5/100"}, {"-sizes", "1e3"},
		{"-callers", "x"}, {"-callers", "16,"}, {"-caches", "some"}, {"-seconds", "0"}, {"-soak", "0s"}, {"decisions"},
	} {
		if s, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q: got %+v", args, s)
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	times := make([]time.Duration, 200)
	for i := range times {
		times[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		of            []time.Duration
		percent, want int
	}{{times, 50, 100}, {times, 99, 198}, {times, 100, 200}, {times, 0, 1}, {times[:1], 99, 1}, {times[:3], 50, 2}} {
		if got := percentile(c.of, c.percent); got != time.Duration(c.want) {
			t.Errorf("percentile %d of %d: got %d, want %d", c.percent, len(c.of), got, c.want)
		}
	}
}

// TestFigure: the ratio is the median of the turns, the rate that of all together.
func TestFigure(t *testing.T) {
	t.Parallel()
	times := func(n int) []time.Duration { return slices.Repeat([]time.Duration{time.Millisecond}, n) }
	beside := turn{took: times(100), span: time.Second}
	var s samples
	for _, n := range []int{100, 400, 200, 300} {
		s.add(turn{took: times(n), span: time.Second, cpu: time.Duration(n) * time.Microsecond}, beside)
	}
	if got, want := s.figure(), (figure{perSecond: 250, p50: time.Millisecond, p99: time.Millisecond, cpu: time.Microsecond, beside: 2.5}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestProc(t *testing.T) {
	t.Parallel()
	stat := "812 (a (b) c) S 1 812 812 0 -1 4194560 9 8 7 6 250 50 3 2 20 0 8 0 4242 1 2 3"
	if got := cpuIn(stat); got != 3*time.Second {
		t.Errorf("cpu: got %s, want 3s", got)
	}
	if got := residentIn("VmPeak:\t  900 kB\nVmRSS:\t   63488 kB\nThreads:\t9\n"); got != 62<<20 {
		t.Errorf("resident: got %d, want 62 MB", got)
	}
	for _, text := range []string{"", "812", "812 (a) S 1 2", "812 (a) S 1 812 812 0 -1 4194560 9 8 7 6 x 50"} {
		if got := cpuIn(text); got != 0 {
			t.Errorf("cpu in %q: got %s", text, got)
		}
		if got := residentIn(text); got != 0 {
			t.Errorf("resident in %q: got %d", text, got)
		}
	}
}

// TestSpread: ids ascend, none twice, and a later id falls between two of them.
func TestSpread(t *testing.T) {
	t.Parallel()
	const n = 10_000_000
	last := ""
	for _, i := range []int{0, 1, 2, 3, 1000, 1001, n / 2, n/2 + 1, n - 2, n - 1} {
		id := spread(i, n)
		if id <= last {
			t.Errorf("%d: %s does not come after %s", i, id, last)
		}
		if id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || len(id) != 36 {
			t.Errorf("%d: %s is no random UUID", i, id)
		}
		last = id
	}
	if first := spread(0, n); !strings.HasPrefix(first, "00000000") || last < "fffff" {
		t.Errorf("they are spread from %s to %s", first, last)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := table{heading: "Decisions"}
	table.row("", "per second", "CPU")
	table.row("× ½", count(1234567), micros(152_400))
	table.row("none", count(12), micros(0))
	want := `Decisions

|      | per second |    CPU |
|---|---|---|
| × ½  |  1,234,567 | 152 µs |
| none |         12 |      – |
`
	if got := table.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestDatabase makes a small database: its rows are found under the ids that the scripts use.
func TestDatabase(t *testing.T) {
	t.Chdir("../..")
	z := size{resources: 12, shares: 40}
	s := setting{data: t.TempDir()}
	dir, err := s.database(t.Context(), t.TempDir(), z)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "umpire.db"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	snap, err := store.Snapshot(t.Context(), "photoz", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	view, err := store.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	u := umpire{size: z}
	for turn := range z.resources {
		board, err := view.Resource(t.Context(), snap.Clients[ofBoards].Key, u.board(3, turn))
		if err != nil || board.Type != "board" {
			t.Fatalf("board: got %+v, %v", board, err)
		}
		album, err := view.Resource(t.Context(), snap.Clients[ofAlbums].Key, u.album(3, turn))
		if err != nil || album.Type != "album" {
			t.Fatalf("album: got %+v, %v", album, err)
		}
		shares, err := view.RequestsFor(t.Context(), []uma.Key{album.Key}, uma.Granted, "")
		if err != nil || len(shares) != sharesOfAlbum {
			t.Errorf("shares of %s: got %d, %v; want %d", album.Name, len(shares), err, sharesOfAlbum)
		}
	}
}

// TestKept: a large database is used again if it is of this schema, and a run that is stopped
// leaves none that is not complete.
func TestKept(t *testing.T) {
	t.Chdir("../..")
	version, err := schemaVersion()
	if err != nil {
		t.Fatal(err)
	}
	s := setting{data: t.TempDir()}
	kept := filepath.Join(s.data, "schema-"+version+"-300000-resources-20-shares")
	if err := os.MkdirAll(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := s.database(t.Context(), t.TempDir(), size{300_000, 20}); err != nil || got != kept {
		t.Errorf("got %s, %v; want %s", got, err, kept)
	}
	if err := os.Rename(kept, filepath.Join(s.data, "schema-00001-300000-resources-20-shares")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := s.database(ctx, t.TempDir(), size{300_000, 20}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: got %s, %v", got, err)
	}
	if _, err := os.Stat(kept); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stopped: there is a database: %v", err)
	}
}

// TestTurns: a caller does not ask the same again in each measurement.
func TestTurns(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first := map[int]bool{}
	for range 5 {
		begun := false
		note := func(_ *conn, _, turn int) error {
			if !begun {
				begun, first[turn] = true, true
			}
			return nil
		}
		if _, err := load(t.Context(), contender{addrs: []string{l.Addr().String()}, script: note}, 1, 0, 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if len(first) < 2 {
		t.Errorf("all began with the same turn: %v", first)
	}
}

func TestCosts(t *testing.T) {
	t.Parallel()
	got := costsIn("# HELP umpire_store_batch_size Writes.\numpire_store_batch_size_sum 24\numpire_store_batch_size_count 3\numpire_database_round_trips_total 1e+06\nother 7\n")
	if want := (costs{trips: 1e6, entries: 24, commits: 3}); got != want {
		t.Errorf("metrics: got %+v, want %+v", got, want)
	}
	if got := writtenIn("rchar: 9\nwrite_bytes: 4096\ncancelled_write_bytes: 1\n"); got != 4096 {
		t.Errorf("written: got %g, want 4096", got)
	}
	if got, want := got.plus(costs{entries: 4, commits: 1}, -1), (costs{trips: 1e6, entries: 20, commits: 2}); got != want {
		t.Errorf("between: got %+v, want %+v", got, want)
	}
}
