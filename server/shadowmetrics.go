package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ShadowStats are the metrics of the shadow policy of a realm. Counts begin with its revision.
type ShadowStats struct {
	Realm     string
	Broken    bool          // it does not compile
	Lag       int           // decisions that are not evaluated yet
	LagTime   time.Duration // the age of the oldest of them
	Decisions map[string]int
	Changes   map[string]int
}

// Shadows calls read at each scrape. Call it once.
func (m *Metrics) Shadows(read func() []ShadowStats) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"realm"}, labels...), nil)
	}
	m.registry.MustRegister(&shadowCollector{
		read:      read,
		broken:    describe("umpire_policy_shadow_broken", "1 if the shadow policy does not compile."),
		lag:       describe("umpire_policy_shadow_lag_records", "Decisions that the shadow policy has not evaluated yet."),
		lagTime:   describe("umpire_policy_shadow_lag_seconds", "Age of the oldest decision that the shadow policy has not evaluated yet."),
		decisions: describe("umpire_policy_shadow_decisions_total", "Decisions that the shadow policy has come to, by result.", "result"),
		changes:   describe("umpire_policy_shadow_changes_total", "Scopes that the shadow policy would have decided otherwise.", "change"),
	})
}

type shadowCollector struct {
	read                                     func() []ShadowStats
	broken, lag, lagTime, decisions, changes *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *shadowCollector) Describe(all chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, all)
}

// Collect implements prometheus.Collector.
func (c *shadowCollector) Collect(all chan<- prometheus.Metric) {
	for _, s := range c.read() {
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
			all <- prometheus.MustNewConstMetric(d, kind, v, append([]string{s.Realm}, labels...)...)
		}
		send(c.broken, prometheus.GaugeValue, number(s.Broken))
		send(c.lag, prometheus.GaugeValue, float64(s.Lag))
		send(c.lagTime, prometheus.GaugeValue, s.LagTime.Seconds())
		for result, n := range s.Decisions {
			send(c.decisions, prometheus.CounterValue, float64(n), result)
		}
		for change, n := range s.Changes {
			send(c.changes, prometheus.CounterValue, float64(n), change)
		}
	}
}
