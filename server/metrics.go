package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are what /metrics shows. The rest of the program reports through its
// methods, which do not block and may be called at any time.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.HistogramVec
	decisions  *prometheus.CounterVec
	evaluation *prometheus.HistogramVec
	commit     prometheus.Histogram
	batch      prometheus.Histogram
	policy     *prometheus.GaugeVec
	stuck      *prometheus.GaugeVec
	stuckTotal *prometheus.CounterVec
	refused    *prometheus.CounterVec
	pruned     *prometheus.CounterVec
	admin      *prometheus.CounterVec

	activated   *prometheus.GaugeVec
	unactivated *prometheus.CounterVec
	confirmBy   *prometheus.GaugeVec
	missing     *prometheus.GaugeVec
	unconfirmed *prometheus.CounterVec

	leases        *prometheus.GaugeVec
	downloaded    *prometheus.GaugeVec
	notDownloaded *prometheus.CounterVec
	waiting       *prometheus.GaugeVec
	gates         *prometheus.GaugeVec
}

// NewMetrics returns metrics in a registry of their own.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "umpire_http_request_duration_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route", "method", "status"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "umpire_decisions_total", Help: "Decisions of the policy, by outcome and by what the request was answered.",
		}, []string{"realm", "outcome", "answered"}),
		evaluation: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "umpire_policy_evaluation_duration_seconds", Help: "Time to evaluate the policy for one permission.",
			Buckets: []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25},
		}, []string{"realm"}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "umpire_store_commit_duration_seconds", Help: "Time to commit a batch of writes.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "umpire_store_batch_size", Help: "Writes that were committed together.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256},
		}),
		policy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "umpire_policy_info", Help: "The policy revision in force; always 1.",
		}, []string{"realm", "revision"}),
		activated: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "umpire_policy_activation_timestamp_seconds", Help: "When the policy in force was activated.",
		}, []string{"realm"}),
		unactivated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "umpire_policy_activation_failures_total", Help: "Tries to activate a changed policy that failed.",
		}, []string{"realm"}),
		confirmBy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "umpire_policy_confirm_by_timestamp_seconds", Help: "When the policy in force is rolled back unless it is confirmed.",
		}, []string{"realm"}),
		missing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "umpire_policy_missing", Help: "1 while the realm has no policy on this server, which refuses its requests; else 0.",
		}, []string{"realm"}),
		unconfirmed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "umpire_policy_unconfirmed_total", Help: "Policies that this server rolled back because they were not confirmed in time.",
		}, []string{"realm"}),
		leases: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "umpire_lease_held", Help: "1 on the server that does the work which one server at a time does.",
		}, []string{"lease"}),
		downloaded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "umpire_policy_download_timestamp_seconds", Help: "When the policy service last answered, with a bundle or that it has not changed.",
		}, []string{"realm"}),
		notDownloaded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "umpire_policy_download_failures_total", Help: "Polls of the policy service that failed.",
		}, []string{"realm"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "umpire_policy_proposals_waiting", Help: "Contents of the policy source that wait for a release or an activation: 0 or 1.",
		}, []string{"realm"}),
		gates: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "umpire_policy_refused", Help: "1 while the content of the policy source is refused by this gate.",
		}, []string{"realm", "gate"}),
		stuck: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "umpire_policy_stuck_evaluations", Help: "Evaluations under way that go on after their deadline.",
		}, []string{"realm"}),
		stuckTotal: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "umpire_policy_stuck_evaluations_total", Help: "Evaluations that went on after their deadline and were given up.",
		}, []string{"realm"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "umpire_throttled_requests_total", Help: "Requests that were told to come again later, by the limit.",
		}, []string{"limit"}),
		pruned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "umpire_pruned_total", Help: "Decision records and policy revisions that the server removed because of their age.",
		}, []string{"what"}),
		admin: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "umpire_admin_requests_total", Help: "Requests of the admin API, by operation and outcome.",
		}, []string{"operation", "outcome"}),
	}
	m.registry.MustRegister(m.requests, m.decisions, m.evaluation, m.commit, m.batch, m.policy, m.activated, m.unactivated, m.confirmBy, m.missing, m.waiting, m.gates, m.leases, m.downloaded, m.notDownloaded, m.unconfirmed, m.stuck, m.stuckTotal, m.refused, m.pruned, m.admin,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Decided counts a decision; see grant.Service.
func (m *Metrics) Decided(realm, outcome, answered string, evaluation time.Duration) {
	m.decisions.WithLabelValues(realm, outcome, answered).Inc()
	m.evaluation.WithLabelValues(realm).Observe(evaluation.Seconds())
}

// Stuck counts evaluations that are given up; see grant.Service.
func (m *Metrics) Stuck(realm string, delta int) {
	m.stuck.WithLabelValues(realm).Add(float64(delta))
	if delta > 0 {
		m.stuckTotal.WithLabelValues(realm).Inc()
	}
}

// throttled counts a request that one of the limits on callers refused.
func (m *Metrics) throttled(limit string) { m.refused.WithLabelValues(limit).Inc() }

// adminRequest counts a request of the admin API.
func (m *Metrics) adminRequest(operation, outcome string) {
	m.admin.WithLabelValues(operation, outcome).Inc()
}

// PasswordQueue calls length at each scrape, for the number of sign-ins that wait for their
// password to be checked. Call it once.
func (m *Metrics) PasswordQueue(length func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "umpire_password_queue_length", Help: "Sign-ins that wait for their password to be checked.",
	}, func() float64 { return float64(length()) }))
}

// Pruned counts decision records and policy revisions that were removed.
func (m *Metrics) Pruned(decisions, revisions int) {
	m.pruned.WithLabelValues("decisions").Add(float64(decisions))
	m.pruned.WithLabelValues("revisions").Add(float64(revisions))
}

// Committed counts a batch of writes that the store committed.
func (m *Metrics) Committed(batch int, took time.Duration) {
	m.batch.Observe(float64(batch))
	m.commit.Observe(took.Seconds())
}

// QueueLength calls length at each scrape, for the number of writes that wait. Call it
// once.
func (m *Metrics) QueueLength(length func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "umpire_store_queue_length", Help: "Writes that wait for a commit.",
	}, func() float64 { return float64(length()) }))
}

// WALSize calls size at each scrape, for the size of the write-ahead log in bytes. Call it
// once.
func (m *Metrics) WALSize(size func() int64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "umpire_store_wal_bytes", Help: "Size of the write-ahead log of the database.",
	}, func() float64 { return float64(size()) }))
}

// Database calls the functions at each scrape, for how often requests have waited for a database that is
// another process, how many of the connections to it are used, and how often and how long all were. Call it
// once.
func (m *Metrics) Database(trips func() int64, connections func() (used, most int), waits func() (times int64, took time.Duration)) {
	m.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "umpire_database_round_trips_total", Help: "Round trips to the database that views of requests and writes have made.",
		}, func() float64 { return float64(trips()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "umpire_database_connections_used", Help: "Connections to the database that are in use.",
		}, func() float64 { used, _ := connections(); return float64(used) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "umpire_database_connections_max", Help: "Connections to the database that this server may have.",
		}, func() float64 { _, most := connections(); return float64(most) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "umpire_database_connection_waits_total", Help: "How often all connections to the database were in use when one was needed.",
		}, func() float64 { times, _ := waits(); return float64(times) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "umpire_database_connection_wait_seconds_total", Help: "Time for which a connection to the database was waited for.",
		}, func() float64 { _, took := waits(); return took.Seconds() }))
}

// PolicyActivated sets the active policy revision of a realm.
func (m *Metrics) PolicyActivated(realm, revision string, now time.Time) {
	m.policy.DeletePartialMatch(prometheus.Labels{"realm": realm})
	m.policy.WithLabelValues(realm, revision).Set(1)
	m.activated.WithLabelValues(realm).Set(float64(now.Unix()))
	m.unactivated.WithLabelValues(realm) // a rate needs a value before the first
	m.unconfirmed.WithLabelValues(realm)
}

// LeaseHeld sets whether this server holds a lease.
func (m *Metrics) LeaseHeld(lease string, held bool) {
	m.leases.WithLabelValues(lease).Set(number(held))
}

// PolicyMissing says whether a realm has no policy.
func (m *Metrics) PolicyMissing(realm string, missing bool) {
	m.missing.WithLabelValues(realm).Set(number(missing))
}

// PolicyConfirmBy sets when the policy in force of a realm is rolled back; zero: never.
func (m *Metrics) PolicyConfirmBy(realm string, at time.Time) {
	if at.IsZero() {
		m.confirmBy.DeleteLabelValues(realm)
		return
	}
	m.confirmBy.WithLabelValues(realm).Set(float64(at.Unix()))
}

// PolicyUnconfirmed counts a policy that was rolled back.
func (m *Metrics) PolicyUnconfirmed(realm string) { m.unconfirmed.WithLabelValues(realm).Inc() }

// Downloaded says that the policy service of a realm answered.
func (m *Metrics) Downloaded(realm string, now time.Time) {
	m.downloaded.WithLabelValues(realm).Set(float64(now.Unix()))
	m.notDownloaded.WithLabelValues(realm) // a rate needs a value before the first
}

// DownloadsEnded says that the policies of a realm no longer come from the same service.
func (m *Metrics) DownloadsEnded(realm string) {
	m.downloaded.DeleteLabelValues(realm)
	m.notDownloaded.DeleteLabelValues(realm)
}

// DownloadFailed counts a failed poll of the policy service of a realm.
func (m *Metrics) DownloadFailed(realm string) { m.notDownloaded.WithLabelValues(realm).Inc() }

// PolicyFailed counts a changed policy that could not be activated.
func (m *Metrics) PolicyFailed(realm string) { m.unactivated.WithLabelValues(realm).Inc() }

// PolicyWaiting says whether a proposal of a realm waits.
func (m *Metrics) PolicyWaiting(realm string, waiting bool) {
	m.waiting.WithLabelValues(realm).Set(number(waiting))
}

// PolicyRefused says which gates refuse the proposal of a realm: none, if there are no names.
func (m *Metrics) PolicyRefused(realm string, gates []string) {
	m.gates.DeletePartialMatch(prometheus.Labels{"realm": realm})
	for _, gate := range gates {
		m.gates.WithLabelValues(realm, gate).Set(1)
	}
}

// request counts an answered request. The route is the pattern of the path, not the path:
// clients must not be able to add labels.
func (m *Metrics) request(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, knownMethod(method), statusLabel(status)).Observe(took.Seconds())
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// number is the value of a metric that says whether something is so.
func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return method
	}
	return "other"
}

func statusLabel(status int) string {
	switch status { // the frequent ones, without a string each time
	case http.StatusOK:
		return "200"
	case http.StatusCreated:
		return "201"
	case http.StatusForbidden:
		return "403"
	}
	return strconv.Itoa(status)
}
