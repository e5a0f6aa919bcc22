package node

import (
	"cmp"
	"context"
	"time"

	"example.com/umpire/server"
	"example.com/umpire/sinks"
	"example.com/umpire/uma"
)

// decisionLog is the name of the sink that is the server's own decision log.
const decisionLog = "decision-log"

// wantedSinks returns the sinks that there are to be.
func (n *Node) wantedSinks(_ context.Context) ([]sinks.Wanted, error) {
	var wanted []sinks.Wanted
	if n.DecisionLog != nil {
		sink := uma.Sink{Name: decisionLog, Kind: uma.SinkStdout, Target: cmp.Or(n.DecisionLogFile, "-"), Hold: n.DecisionLogHold}
		if n.DecisionLogFile != "" {
			sink.Kind = uma.SinkFile
		}
		to := sinks.NewLines(n.DecisionLog)
		wanted = append(wanted, sinks.Wanted{Sink: sink, Open: func() (sinks.Destination, error) { return to, nil }})
	}
	return wanted, nil
}

// startSinks starts the delivery of decision records.
func (n *Node) startSinks(ctx context.Context) error {
	wanted, err := n.wantedSinks(ctx)
	if err != nil {
		return err
	}
	return n.sinks.Start(ctx, wanted)
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
		wanted, err := n.wantedSinks(ctx)
		if err == nil {
			err = n.sinks.Set(ctx, wanted)
		}
		if err != nil && ctx.Err() == nil {
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
			Sink: s.Name, Kind: string(s.Kind), Realm: s.Realm, Lag: s.Backlog.Records, LastSuccess: s.Delivered,
			Delivered: s.Sent, Failures: s.Failures, Skipped: s.Skipped, Cut: s.Cut,
		}
		if !s.Backlog.Oldest.IsZero() {
			stat.LagTime = max(0, n.Now().Sub(s.Backlog.Oldest))
		}
		stats = append(stats, stat)
	}
	return stats
}
