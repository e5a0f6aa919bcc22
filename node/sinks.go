package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"example.com/umpire/opaservice"
	"example.com/umpire/server"
	"example.com/umpire/sinks"
	"example.com/umpire/uma"
)

// decisionLog is the name of the sink that is the server's own decision log.
const decisionLog = "decision-log"

// maxUploadRetry is the longest time between attempts to reach an OPA service, unless it
// says when to try again.
const maxUploadRetry = time.Minute

// wantedSinks returns the sinks that there are to be: the decision log, and the OPA services
// that the realms name.
func (n *Node) wantedSinks(ctx context.Context) (wanted sinks.List, err error) {
	// The generation is read first: a change of a realm after that raises it.
	if wanted.Generation, err = n.Store.Generation(ctx); err != nil {
		return wanted, fmt.Errorf("read generation: %w", err)
	}
	if n.DecisionLog != nil {
		sink := uma.Sink{Name: decisionLog, Kind: uma.SinkStdout, Target: cmp.Or(n.DecisionLogFile, "-"), Hold: n.DecisionLogHold}
		if n.DecisionLogFile != "" {
			sink.Kind = uma.SinkFile
		}
		to := sinks.NewLines(n.DecisionLog)
		wanted.Sinks = append(wanted.Sinks, sinks.Wanted{Sink: sink, Open: func() (sinks.Destination, error) { return to, nil }})
	}
	names, err := n.Store.RealmNames(ctx)
	if err != nil {
		return wanted, fmt.Errorf("list realms: %w", err)
	}
	for _, name := range names {
		s, err := n.Store.Snapshot(ctx, name, n.Now())
		if err != nil {
			return wanted, fmt.Errorf("load realm %s: %w", name, err)
		}
		if s.Realm.Policy.OPA == nil {
			continue
		}
		config, err := n.OPA(ctx, name, s.Realm.Policy.OPA)
		if err != nil {
			return wanted, fmt.Errorf("policy.opa of realm %s: %w", name, err)
		}
		if config.DecisionLogs != nil {
			wanted.Sinks = append(wanted.Sinks, n.logService(&s.Realm, config))
		}
	}
	return wanted, nil
}

// withSinks calls use with the sinks that there are to be, again if a realm changed meanwhile: another server
// may have made a sink that is not in the list, and which must not be removed with its cursor.
func (n *Node) withSinks(ctx context.Context, use func(context.Context, sinks.List) error) error {
	for {
		wanted, err := n.wantedSinks(ctx)
		if err == nil {
			err = use(ctx, wanted)
		}
		if !errors.Is(err, uma.ErrMoved) || ctx.Err() != nil {
			return err
		}
	}
}

// logService returns the sink of a realm that has policy.opa.decision_logs.
func (n *Node) logService(r *uma.Realm, config *opaservice.Config) sinks.Wanted {
	logs := config.DecisionLogs
	return sinks.Wanted{
		Sink: uma.Sink{
			Name: "opa/" + r.Name, Kind: uma.SinkOPA, Realm: r.Name, Hold: r.SinkHold,
			Target: opaservice.SourceOf(logs.Service, logs.Resource),
		},
		Settings: string(r.Policy.OPA.Fingerprint),
		MinDelay: time.Duration(logs.Reporting.MinDelay) * time.Second, MaxDelay: time.Duration(logs.Reporting.MaxDelay) * time.Second,
		MaxRetry: maxUploadRetry,
		Open: func() (sinks.Destination, error) {
			client, err := config.Client(logs.Service) // of its own: see the package
			if err != nil {
				return nil, err
			}
			client = client.WithHeader("Content-Type", "application/json").WithHeader("Content-Encoding", "gzip")
			return &sinks.Upload{Limit: int(logs.Reporting.UploadLimit), Log: n.Log, Post: func(ctx context.Context, body []byte) (int, http.Header, error) {
				answer, err := client.WithBytes(body).Do(ctx, http.MethodPost, logs.Resource)
				if err != nil {
					return 0, nil, config.Describe(logs.Service, err)
				}
				// The connection is used again if the answer was read. One that is long is not.
				_, _ = io.CopyN(io.Discard, answer.Body, 64<<10)
				return answer.StatusCode, answer.Header, answer.Body.Close()
			}}, nil
		},
	}
}

// keepSinks makes the sinks in the database those that are wanted.
func (n *Node) keepSinks(ctx context.Context) error {
	return n.withSinks(ctx, n.sinks.Keep)
}

// deliver delivers decision records to the sinks until ctx ends.
func (n *Node) deliver(ctx context.Context) {
	for failing := false; ; failing = true {
		err := n.withSinks(ctx, n.sinks.Start)
		if err == nil {
			break
		}
		if !failing && ctx.Err() == nil {
			n.Log.ErrorContext(ctx, "decision log: the sinks are not taken over; tried again each second", "err", err)
		}
		if wait(ctx, time.Second); ctx.Err() != nil {
			return
		}
	}
	var work sync.WaitGroup
	work.Go(func() { n.sinks.Run(ctx, n.committed) })
	n.followSinks(ctx)
	work.Wait()
}

// sinksChanged makes followSinks compare the sinks with what is wanted.
func (n *Node) sinksChanged() {
	select {
	case n.compareSinks <- struct{}{}:
	default:
	}
}

// followSinks makes the sinks those that are wanted, at each change of a realm, with retries
// until it succeeds.
func (n *Node) followSinks(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.compareSinks:
		}
		if err := n.withSinks(ctx, n.sinks.Set); err != nil && ctx.Err() == nil {
			n.Log.ErrorContext(ctx, "decision log: the sinks are not compared with the realms; tried again in a second", "err", err)
			time.AfterFunc(time.Second, n.sinksChanged)
		}
	}
}

// sinkStats returns what /metrics shows of the sinks: nothing if the database cannot be read.
func (n *Node) sinkStats() []server.SinkStats {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	states, err := n.sinks.States(ctx)
	if err != nil {
		n.Log.WarnContext(ctx, "metrics of sinks", "err", err)
		return nil
	}
	var stats []server.SinkStats
	for _, s := range states {
		stat := server.SinkStats{
			Sink: s.Name, Kind: string(s.Kind), Realm: s.Realm, Runs: s.Runs, Lag: s.Backlog.Records, LastSuccess: s.Delivered,
			Delivered: s.Sent, Failures: s.Failures, Skipped: s.Skipped, Cut: s.Cut,
		}
		if !s.Backlog.Oldest.IsZero() {
			stat.LagTime = max(0, n.Now().Sub(s.Backlog.Oldest))
		}
		stats = append(stats, stat)
	}
	return stats
}
