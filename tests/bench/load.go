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

// A figure is the outcome of a measurement.
type figure struct {
	perSecond float64
	p50, p99  time.Duration
}

func (f figure) cells() []string {
	return []string{fmt.Sprintf("%.0f", f.perSecond), f.p50.Round(10 * time.Microsecond).String(), f.p99.Round(10 * time.Microsecond).String()}
}

// load has callers run a script for a while, after a short warm-up that does not
// count. An answer that is not as wanted ends it.
func load(ctx context.Context, addr string, callers int, each time.Duration, s script) (figure, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var counting, stop atomic.Bool
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			mine, err := call(ctx, addr, caller, s, &counting, &stop)
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
	begin := time.Now()
	wait(ctx, each)
	span := time.Since(begin)
	stop.Store(true)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return figure{}, err
	}
	if len(took) == 0 {
		return figure{}, errors.New("nothing was answered in time")
	}
	slices.Sort(took)
	return figure{
		perSecond: float64(len(took)) / span.Seconds(),
		p50:       took[len(took)/2], p99: took[len(took)*99/100],
	}, nil
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
	req := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: bench\r\n%sContent-Length: %d\r\n\r\n%s", method, path, headers, len(body), body)
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
