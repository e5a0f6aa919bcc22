package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// IndexLag calls read at each scrape, for the decision records that are not indexed yet and
// the age of the oldest of them. If it fails, the metrics are missing. Call it once.
func (m *Metrics) IndexLag(read func() (records int, age time.Duration, ok bool)) {
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	m.registry.MustRegister(&indexCollector{
		read:    read,
		records: describe("umpire_decision_index_lag_records", "Decision records that are not indexed yet."),
		age:     describe("umpire_decision_index_lag_seconds", "Age of the oldest decision record that is not indexed yet."),
	})
}

type indexCollector struct {
	read         func() (int, time.Duration, bool)
	records, age *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *indexCollector) Describe(all chan<- *prometheus.Desc) {
	all <- c.records
	all <- c.age
}

// Collect implements prometheus.Collector.
func (c *indexCollector) Collect(all chan<- prometheus.Metric) {
	records, age, ok := c.read()
	if !ok {
		return
	}
	all <- prometheus.MustNewConstMetric(c.records, prometheus.GaugeValue, float64(records))
	all <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, age.Seconds())
}
