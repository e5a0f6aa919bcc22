package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A script is what one caller does over and over: it sends requests on its
// connection and returns how many answers were as wanted.
type script func(c *conn, caller, turn int) error

// A contender is a server and what is asked of it.
type contender struct {
	name, addr string
	script     script
	process    *process // nil: it was not started here
}

// A figure is the outcome of a measurement.
type figure struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // of the server for each answer; 0: unknown
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
	took := make([][]time.Duration, len(contenders))
	span := make([]time.Duration, len(contenders))
	cpu := make([]time.Duration, len(contenders))
	beside := make([][]float64, len(contenders))
	for range turns {
		var first float64
		for i, c := range contenders {
			wait(ctx, rest)
			did, err := load(ctx, c, callers, each/turns)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			took[i], span[i], cpu[i] = append(took[i], did.took...), span[i]+did.span, cpu[i]+did.cpu
			rate := float64(len(did.took)) / did.span.Seconds()
			if i == 0 {
				first = rate
			}
			beside[i] = append(beside[i], rate/first)
		}
	}
	figures := make([]figure, len(contenders))
	for i := range contenders {
		slices.Sort(took[i])
		slices.Sort(beside[i])
		n := len(took[i])
		figures[i] = figure{
			perSecond: float64(n) / span[i].Seconds(), p50: took[i][n/2], p99: took[i][n*99/100], cpu: cpu[i] / time.Duration(n),
			beside: (beside[i][turns/2-1] + beside[i][turns/2]) / 2,
		}
	}
	return figures, nil
}

// A turn is what a contender did in one turn.
type turn struct {
	took []time.Duration // for each answer
	span time.Duration
	cpu  time.Duration
}

// load has callers run the script of a contender for a while, after a short warm-up that
// does not count. An answer that is not as wanted ends it.
func load(ctx context.Context, c contender, callers int, each time.Duration) (turn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var counting, stop atomic.Bool
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			mine, err := call(ctx, c.addr, caller, c.script, &counting, &stop)
			if err != nil {
				cancel(err)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	wait(ctx, each/5)
	counting.Store(true)
	begin, before := time.Now(), c.process.cpu()
	wait(ctx, each)
	span, cpu := time.Since(begin), c.process.cpu()-before
	stop.Store(true)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return turn{}, err
	}
	if len(took) == 0 {
		return turn{}, errors.New("nothing was answered in time")
	}
	return turn{took, span, cpu}, nil
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
	for turn := 0; !stop.Load() && ctx.Err() == nil; turn++ {
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
