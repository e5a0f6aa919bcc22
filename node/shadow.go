package node

import (
	"context"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/server"
	"example.com/umpire/uma"
)

// newShadow makes the worker that evaluates decisions again under policy.shadow.
func (n *Node) newShadow() *rollout.Shadow {
	return &rollout.Shadow{
		Store: n.Store, Settings: n.policySettings, Log: n.Log, Now: n.Now,
		Sleep: func(ctx context.Context, d time.Duration) {
			if d > 0 {
				wait(ctx, d)
			}
		},
	}
}

// policySettings are the policy settings of all realms, also of disabled ones: they may have decisions that
// are to be evaluated.
func (n *Node) policySettings(ctx context.Context) (map[string]uma.PolicySettings, error) {
	all, err := n.Core.Realms.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	settings := map[string]uma.PolicySettings{}
	for _, s := range all {
		settings[s.Realm.Name] = s.Realm.Policy
	}
	return settings, nil
}

// shadowStats returns what /metrics shows of the shadows; without their lag if the database
// cannot be read.
func (n *Node) shadowStats() (stats []server.ShadowStats) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, s := range n.shadow.Stats() {
		stat := server.ShadowStats{
			Realm: s.Realm, Broken: s.Broken,
			Decisions: map[string]int{"unchanged": s.Unchanged, "changed": s.Replayed - s.Unchanged, "skipped": s.Skipped, "missed": s.Missed, "failed": s.Failed},
			Changes:   map[string]int{"newly_granted": s.Granted, "newly_refused": s.Refused, "different": s.Different},
		}
		backlog, err := n.Store.BacklogOf(ctx, s.Realm, s.Cursor)
		if err != nil {
			n.Log.WarnContext(ctx, "metrics of shadow policies", "err", err)
		}
		stat.Lag = backlog.Records
		if !backlog.Oldest.IsZero() {
			stat.LagTime = max(0, n.Now().Sub(backlog.Oldest))
		}
		stats = append(stats, stat)
	}
	return stats
}
