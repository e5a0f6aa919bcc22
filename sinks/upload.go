package sinks

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"example.com/umpire/uma"
)

// uploadTimeout bounds one request.
const uploadTimeout = time.Minute

// A Post sends a body that is JSON, compressed with gzip, and returns the status and the
// headers of the answer.
type Post func(ctx context.Context, body []byte) (status int, header http.Header, err error)

// An Upload sends records to an OPA service, as OPA's decision log plugin does: POST of a
// JSON array of events, compressed with gzip. 2xx means that the service has them. After any
// other answer, and after none, they are sent again, however often: nothing is dropped. If
// the service says 413, half as many are sent. Only an event that alone has more than Limit
// bytes, or alone is answered 413, is skipped.
type Upload struct {
	Post  Post
	Limit int // of a compressed body, in bytes
	Log   *slog.Logger

	// What is tried next, in bytes: raw of events, which adapts to what they compress to, and
	// limit of a body, which adapts to what the service takes.
	raw, limit int
}

// Deliver implements Destination.
func (u *Upload) Deliver(ctx context.Context, records []uma.Record) (done, skipped int, err error) {
	for done < len(records) {
		body, n, raw, err := u.batch(records[done:])
		if err != nil {
			return done, skipped, err
		}
		status := http.StatusRequestEntityTooLarge
		if len(body) <= u.Limit {
			if status, err = u.send(ctx, body); err != nil {
				return done, skipped, err
			}
		}
		switch {
		case status/100 == 2:
			done += n
			u.limit = min(u.Limit, u.limit+u.limit/32+1) // the service may take more now
		case n > 1:
			u.raw, u.limit = raw/2, len(body)/2
		default:
			u.Log.ErrorContext(ctx, "decision log: a record is skipped: the service does not take one of this size",
				"decision_id", records[done].ID, "realm", records[done].Realm, "compressed_bytes", len(body), "upload_size_limit_bytes", u.Limit)
			done, skipped = done+1, skipped+1
		}
	}
	return done, skipped, nil
}

// send returns 200 or 413. Any other answer is an error.
func (u *Upload) send(ctx context.Context, body []byte) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	status, header, err := u.Post(ctx, body)
	switch {
	case err != nil:
		return 0, err
	case status/100 == 2 || status == http.StatusRequestEntityTooLarge:
		return status, nil
	}
	err = fmt.Errorf("the service answered %d %s", status, http.StatusText(status))
	if seconds, failed := strconv.Atoi(header.Get("Retry-After")); failed == nil && seconds > 0 {
		return 0, &Retry{After: time.Duration(seconds) * time.Second, Err: err}
	}
	return 0, err
}

// batch compresses the first events, and returns how many, and their bytes: as many as fit,
// by what the last ones compressed to, and at least one.
func (u *Upload) batch(records []uma.Record) (body []byte, n, raw int, err error) {
	if u.limit == 0 {
		u.raw, u.limit = u.Limit, u.Limit
	}
	for {
		n, raw = 0, 0
		for n < len(records) && (n == 0 || raw+len(records[n].Event) <= u.raw) {
			raw += len(records[n].Event)
			n++
		}
		if body, err = compress(records[:n]); err != nil {
			return nil, 0, 0, err
		}
		fit := int(int64(raw) * int64(u.limit) / int64(len(body)) * 9 / 10) // so many bytes should fit
		if len(body) > u.limit && n > 1 {
			u.raw = min(fit, raw-1)
			continue
		}
		if n < len(records) { // otherwise it says nothing about larger batches
			u.raw = max(u.raw, min(fit, 2*raw))
		}
		return body, n, raw, nil
	}
}

// compress makes a compressed JSON array of events.
func compress(records []uma.Record) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i := range records {
		separator := ","
		if i == 0 {
			separator = "["
		}
		if _, err := z.Write([]byte(separator)); err != nil {
			return nil, err
		}
		if _, err := z.Write(records[i].Event); err != nil {
			return nil, err
		}
	}
	if _, err := z.Write([]byte("]")); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}
