package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A script is what one caller does over and over: it sends requests on its
// connection, and returns an error if an answer is not as wanted.
type script func(c *conn, caller, turn int) error

// A contender is a server and what is asked of it.
type contender struct {
	name      string
	addrs     []string // of the servers that are asked, by callers in turn
	script    script
	processes []*process // whose processor time counts; none: they were not started here
	admins    []string   // addresses that have the metrics of these servers; none: they have none
	database  string     // URL of their PostgreSQL, if they have one
}

// cpu is the processor time that a contender has used so far, 0 if that is unknown.
func (c *contender) cpu() (used time.Duration) {
	for _, p := range c.processes {
		used += p.cpu()
	}
	return used
}

// A figure is the outcome of a measurement.
type figure struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // of the server for each answer; 0: unknown
	costs     costs         // of each answer
	beside    float64       // of the first contender: the median over the turns
}

// turns is how often each contender has its turn in a measurement, and rest the time
// between two, so that what one leaves to be done (collections, compilation) is not
// done in the other's.
const (
	turns = 6
	rest  = 300 * time.Millisecond
)

// interleave measures contenders in turns of equal length.
func interleave(ctx context.Context, contenders []contender, callers int, each time.Duration) ([]figure, error) {
	did := make([]samples, len(contenders))
	for range turns {
		var first turn
		for i, c := range contenders {
			wait(ctx, rest)
			t, err := load(ctx, c, callers, each/turns/5, each/turns)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if i == 0 {
				first = t
			}
			did[i].add(t, first)
		}
	}
	figures := make([]figure, len(contenders))
	for i := range contenders {
		figures[i] = did[i].figure()
	}
	return figures, nil
}

// samples are what a contender did in its turns.
type samples struct {
	turn
	beside []float64 // ratios of rates
}

// add adds a turn, with that of the contender that it is compared with.
func (s *samples) add(t, beside turn) {
	s.took, s.span, s.cpu, s.costs = append(s.took, t.took...), s.span+t.span, s.cpu+t.cpu, s.costs.plus(t.costs, 1)
	s.beside = append(s.beside, t.rate()/beside.rate())
}

func (s *samples) figure() figure {
	slices.Sort(s.took)
	slices.Sort(s.beside)
	n := len(s.beside)
	return figure{
		perSecond: s.rate(), p50: percentile(s.took, 50), p99: percentile(s.took, 99), cpu: s.cpu / time.Duration(len(s.took)),
		costs:  costs{}.plus(s.costs, 1/float64(len(s.took))),
		beside: (s.beside[(n-1)/2] + s.beside[n/2]) / 2,
	}
}

// percentile is the smallest of sorted times that so many percent of them are not above.
func percentile(sorted []time.Duration, percent int) time.Duration {
	return sorted[max((len(sorted)*percent+99)/100-1, 0)]
}

// A turn is what a contender did in one turn.
type turn struct {
	took  []time.Duration // for each answer
	span  time.Duration
	cpu   time.Duration
	costs costs
}

func (t turn) rate() float64 { return float64(len(t.took)) / t.span.Seconds() }

// load has callers run the script of a contender for a while, after a warm-up that
// does not count. An answer that is not as wanted ends it.
func load(ctx context.Context, c contender, callers int, warm, each time.Duration) (turn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var counting, stop atomic.Bool
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			mine, err := call(ctx, c.addrs[caller%len(c.addrs)], caller, c.script, &counting, &stop)
			if err != nil {
				cancel(err)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	wait(ctx, warm)
	counting.Store(true)
	spent, err := c.costs(ctx)
	if err != nil {
		cancel(err)
	}
	begin, before := time.Now(), c.cpu()
	wait(ctx, each)
	span, cpu := time.Since(begin), c.cpu()-before
	after, err := c.costs(ctx)
	if err != nil {
		cancel(err)
	}
	stop.Store(true)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return turn{}, err
	}
	if len(took) == 0 {
		return turn{}, fmt.Errorf("nothing was answered in %s: give more -seconds", each)
	}
	return turn{took, span, cpu, after.plus(spent, -1)}, nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func call(ctx context.Context, addr string, caller int, s script, counting, stop *atomic.Bool) ([]time.Duration, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var took []time.Duration
	for turn := anywhere(); !stop.Load() && ctx.Err() == nil; turn++ {
		counted := counting.Load()
		begin := time.Now()
		if err := s(c, caller, turn); err != nil {
			return nil, err
		}
		if counted && !stop.Load() {
			took = append(took, time.Since(begin))
		}
	}
	return took, nil
}

// anywhere is the first turn of a caller. Scripts pick what they ask about by the turn: if all began
// with the same, a large database would be asked about the same few resources again and again,
// and caches would have them.
func anywhere() int { return rand.IntN(1 << 30) }

// A conn is a client that costs little, so that the server is what is measured:
// one connection, requests written as bytes.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, 16<<10)}, nil
}

// send writes a request and reads the answer; any other status is an error.
func (c *conn) send(method, path, headers, body string, status int) ([]byte, error) {
	req := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s", method, path, c.RemoteAddr(), headers, len(body), body)
	if _, err := c.Write(req); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != status {
		err = fmt.Errorf("%s %s: status %d, want %d: %s", method, path, res.StatusCode, status, answer)
	}
	return answer, err
}
