package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// KeyStats are the metrics of the keys of a trusted issuer, or of a client, that are fetched.
type KeyStats struct {
	Realm, Kind, Name string // Kind is issuer or client, Name an alias or a client_id

	Keys     int           // that are held; 0: nothing can be verified by them
	Fetched  bool          // they were, once
	Age      time.Duration // since they were last fetched
	Failures int64
}

// Keys calls read at each scrape. Call it once.
func (m *Metrics) Keys(read func() []KeyStats) {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"realm", "kind", "name"}, nil)
	}
	m.registry.MustRegister(&keyCollector{
		read:     read,
		keys:     describe("umpire_keys_held", "Public keys of a trusted issuer or a client that are held."),
		age:      describe("umpire_keys_age_seconds", "Time since the keys of a trusted issuer or a client were last fetched."),
		failures: describe("umpire_keys_fetch_failures_total", "Failed attempts to fetch the keys of a trusted issuer or a client."),
	})
}

type keyCollector struct {
	read                func() []KeyStats
	keys, age, failures *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *keyCollector) Describe(all chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, all) }

// Collect implements prometheus.Collector.
func (c *keyCollector) Collect(all chan<- prometheus.Metric) {
	for _, s := range c.read() {
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
			all <- prometheus.MustNewConstMetric(d, kind, v, s.Realm, s.Kind, s.Name)
		}
		send(c.keys, prometheus.GaugeValue, float64(s.Keys))
		if s.Fetched {
			send(c.age, prometheus.GaugeValue, s.Age.Seconds())
		}
		send(c.failures, prometheus.CounterValue, float64(s.Failures))
	}
}
