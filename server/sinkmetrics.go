package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// SinkStats are the metrics of one sink of decision records.
type SinkStats struct {
	Sink, Kind, Realm string
	Runs              bool          // here: else there is nothing that this server delivered
	Lag               int           // records that are not delivered
	LagTime           time.Duration // the age of the oldest of them
	LastSuccess       time.Time     // zero: none
	Delivered         int64
	Failures          int64
	Skipped           int64
	Cut               int64
}

// Sinks calls read at each scrape. Call it once.
func (m *Metrics) Sinks(read func() []SinkStats) {
	labels := []string{"sink", "kind", "realm"}
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, labels, nil) }
	m.registry.MustRegister(&sinkCollector{
		read:      read,
		lag:       describe("umpire_sink_lag_records", "Decision records that the sink does not have yet."),
		lagTime:   describe("umpire_sink_lag_seconds", "Age of the oldest decision record that the sink does not have yet."),
		success:   describe("umpire_sink_last_success_timestamp_seconds", "When a record was last delivered."),
		delivered: describe("umpire_sink_delivered_total", "Decision records that this server delivered."),
		failures:  describe("umpire_sink_failures_total", "Failed attempts to deliver."),
		skipped:   describe("umpire_sink_skipped_total", "Decision records that the sink does not take, because of their size."),
		cut:       describe("umpire_sink_cut_total", "Decision records that retention removed before they were delivered."),
	})
}

type sinkCollector struct {
	read                                                     func() []SinkStats
	lag, lagTime, success, delivered, failures, skipped, cut *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *sinkCollector) Describe(all chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, all) }

// Collect implements prometheus.Collector.
func (c *sinkCollector) Collect(all chan<- prometheus.Metric) {
	for _, s := range c.read() {
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
			all <- prometheus.MustNewConstMetric(d, kind, v, s.Sink, s.Kind, s.Realm)
		}
		send(c.lag, prometheus.GaugeValue, float64(s.Lag))
		send(c.lagTime, prometheus.GaugeValue, s.LagTime.Seconds())
		if !s.LastSuccess.IsZero() {
			send(c.success, prometheus.GaugeValue, float64(s.LastSuccess.Unix()))
		}
		if s.Runs {
			send(c.delivered, prometheus.CounterValue, float64(s.Delivered))
			send(c.failures, prometheus.CounterValue, float64(s.Failures))
		}
		send(c.skipped, prometheus.CounterValue, float64(s.Skipped))
		send(c.cut, prometheus.CounterValue, float64(s.Cut))
	}
}
