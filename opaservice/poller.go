package opaservice

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins/rest"
	"github.com/open-policy-agent/opa/v1/util"
)

// Limits bound a download. Zero values are the defaults.
type Limits struct {
	// Size of the compressed bundle, in bytes; 0: 64 MiB.
	Size int64

	// Timeout of a download, in addition to the time for which the service may wait with its
	// answer; 0: two minutes.
	Timeout time.Duration
}

const (
	maxSize     = 64 << 20
	maxUnpacked = 64 << 20 // as far as a bundle is unpacked to compare its checksum
	timeout     = 2 * time.Minute
	firstRetry  = 500 * time.Millisecond
)

// longPolling is the content type by which a service says that it can wait with its answer.
const longPolling = "application/vnd.openpolicyagent.bundles"

// A Poller downloads the bundle of a Config whenever it changes. OPA's own downloader is not
// used: it limits the size of each file but not of all, asks for deltas, which are refused
// here, and does not notice a damaged checksum of the archive.
type Poller struct {
	config          *Config
	client, patient rest.Client // patient has no deadline for the header of an answer
	limits          Limits

	etag     string
	forget   atomic.Bool
	waits    bool // the service may wait with its answer
	failures int  // since the last answer that could be used
	next     time.Duration
}

// Poller returns a poller of the bundle, which must not be nil.
func (c *Config) Poller(limits Limits) (*Poller, error) {
	client, err := c.Client(c.Bundle.Service)
	if err != nil {
		return nil, err
	}
	limits.Size, limits.Timeout = cmp.Or(limits.Size, maxSize), cmp.Or(limits.Timeout, timeout)
	return &Poller{
		config: c, client: client, patient: client.SetResponseHeaderTimeout(new(int64)), limits: limits,
		waits: c.Bundle.Polling.LongPolling > 0,
	}, nil
}

// Poll asks for the bundle once. The content is nil if it has not changed since the last
// Poll that returned it. An error has no secret; the next Poll asks for what this one did.
func (p *Poller) Poll(ctx context.Context) (content []byte, err error) {
	forgotten := p.forget.Swap(false)
	if forgotten {
		p.etag = ""
	}
	began, waits := time.Now(), p.waits
	content, err = p.poll(ctx)
	polling := p.config.Bundle.Polling
	if err != nil {
		p.backOff()
		return nil, p.describe(err)
	}
	if !forgotten { // else the same bundle may have to be forgotten again
		p.failures = 0
	}
	if waits && p.waits && (content != nil || time.Since(began) > time.Duration(polling.LongPolling)*time.Second/2) {
		p.next = 0
		return content, nil
	}
	// Also if a service that could wait answered at once that nothing changed.
	p.next = time.Duration((float64(polling.MinDelay) + rand.Float64()*float64(polling.MaxDelay-polling.MinDelay)) * float64(time.Second))
	return content, nil
}

func (p *Poller) backOff() {
	p.failures++
	p.next = util.DefaultBackoff(float64(firstRetry), float64(p.config.Bundle.Polling.MaxDelay)*float64(time.Second), p.failures)
}

// Next is how long to wait before the next Poll. Call it once after each.
func (p *Poller) Next() time.Duration {
	if p.forget.Load() {
		p.backOff()
	}
	return p.next
}

// Forget makes the next Poll return the bundle also if it has not changed: the one before could
// not be used for the moment. It may be called at any time.
func (p *Poller) Forget() { p.forget.Store(true) }

// describe is an error with the service and the resource.
func (p *Poller) describe(err error) error {
	return &requestError{text: p.config.Source() + ": " + p.config.redact(withoutURL(err).Error()), err: err}
}

func (p *Poller) poll(ctx context.Context) ([]byte, error) {
	client, prefer, limit := p.client, "modes=snapshot", p.limits.Timeout
	if p.waits {
		seconds := p.config.Bundle.Polling.LongPolling
		client, prefer, limit = p.patient, fmt.Sprintf("modes=snapshot;wait=%d", seconds), limit+time.Duration(seconds)*time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// Without an ETag WithHeader has no effect.
	answer, err := client.WithHeader("Prefer", prefer).WithHeader("If-None-Match", p.etag).Do(ctx, http.MethodGet, p.config.Bundle.Resource)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it is only read
	switch answer.StatusCode {
	case http.StatusOK:
		return p.take(answer)
	case http.StatusNotModified:
		if p.etag == "" {
			return nil, errors.New("answered 304 Not Modified to a request without If-None-Match")
		}
		p.etag = cmp.Or(answer.Header.Get("ETag"), p.etag)
		return nil, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("answered %s: check policy.opa.services.%s.credentials", status(answer), p.config.Bundle.Service)
	case http.StatusNotFound:
		return nil, fmt.Errorf("answered %s: check policy.opa.bundles.%s.resource", status(answer), p.config.Bundle.Name)
	}
	return nil, fmt.Errorf("answered %s", status(answer))
}

func status(answer *http.Response) string {
	return fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
}

// take reads a bundle.
func (p *Poller) take(answer *http.Response) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(answer.Body, p.limits.Size+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(content)) > p.limits.Size:
		return nil, fmt.Errorf("the bundle has more than %d bytes", p.limits.Size)
	}
	if err := checksum(content); err != nil {
		return nil, fmt.Errorf("answered with what is no whole bundle (%s): %w", cmp.Or(answer.Header.Get("Content-Type"), "without content type"), err)
	}
	p.etag = answer.Header.Get("ETag")
	p.waits = p.config.Bundle.Polling.LongPolling > 0 && answer.Header.Get("Content-Type") == longPolling
	return content, nil
}

// checksum reports what was damaged on the way, so that it is fetched again. What is whole and
// too large when it is unpacked is for the reader of bundles to refuse.
func checksum(content []byte) error {
	unpacked, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(unpacked, maxUnpacked+1))
	return err
}
