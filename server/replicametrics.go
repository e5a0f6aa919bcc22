package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Replica calls read at each scrape, for whether lists are read from a replica of the database, how far that is
// behind then, and how often lists were read from either. Call it once.
func (m *Metrics) Replica(read func() (used bool, lag time.Duration, fromReplica, fromPrimary int64)) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m.registry.MustRegister(&replicaCollector{
		read:  read,
		used:  describe("umpire_database_replica_used", "1 while lists are read from the replica of the database."),
		lag:   describe("umpire_database_replica_lag_seconds", "How far the replica of the database is behind; missing while it is not used."),
		reads: describe("umpire_database_replica_reads_total", "Reads for lists, by the database that was read from.", "from"),
	})
}

type replicaCollector struct {
	read             func() (bool, time.Duration, int64, int64)
	used, lag, reads *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *replicaCollector) Describe(all chan<- *prometheus.Desc) {
	all <- c.used
	all <- c.lag
	all <- c.reads
}

// Collect implements prometheus.Collector.
func (c *replicaCollector) Collect(all chan<- prometheus.Metric) {
	used, lag, fromReplica, fromPrimary := c.read()
	value := 0.0
	if used {
		value = 1
		all <- prometheus.MustNewConstMetric(c.lag, prometheus.GaugeValue, lag.Seconds())
	}
	all <- prometheus.MustNewConstMetric(c.used, prometheus.GaugeValue, value)
	all <- prometheus.MustNewConstMetric(c.reads, prometheus.CounterValue, float64(fromReplica), "replica")
	all <- prometheus.MustNewConstMetric(c.reads, prometheus.CounterValue, float64(fromPrimary), "primary")
}
