package server

import "github.com/prometheus/client_golang/prometheus"

// CacheStats are the metrics of one cache.
type CacheStats struct {
	Cache          string // its name in --caches
	Bytes, Entries int
	Hits, Misses   int64
}

// Caches calls read at each scrape. Call it once.
func (m *Metrics) Caches(read func() []CacheStats) {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"cache"}, nil)
	}
	m.registry.MustRegister(&cacheCollector{
		read:    read,
		bytes:   describe("umpire_cache_bytes", "Memory that the entries of the cache take."),
		entries: describe("umpire_cache_entries", "Entries of the cache."),
		hits:    describe("umpire_cache_hits_total", "Reads that the cache answered."),
		misses:  describe("umpire_cache_misses_total", "Reads that the cache could not answer."),
	})
}

type cacheCollector struct {
	read                         func() []CacheStats
	bytes, entries, hits, misses *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *cacheCollector) Describe(all chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, all) }

// Collect implements prometheus.Collector.
func (c *cacheCollector) Collect(all chan<- prometheus.Metric) {
	for _, s := range c.read() {
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
			all <- prometheus.MustNewConstMetric(d, kind, v, s.Cache)
		}
		send(c.bytes, prometheus.GaugeValue, float64(s.Bytes))
		send(c.entries, prometheus.GaugeValue, float64(s.Entries))
		send(c.hits, prometheus.CounterValue, float64(s.Hits))
		send(c.misses, prometheus.CounterValue, float64(s.Misses))
	}
}
