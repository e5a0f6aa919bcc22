package realm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"

	"example.com/umpire/opaservice"
	"example.com/umpire/uma"
)

// opaReader reads `policy.opa`: OPA's own configuration, with the members that the server
// honours. Every other member is a mistake, since one without effect would mislead.
type opaReader struct {
	services, keys map[string]any
	bundle         map[string]any
	at             map[string]value // of the services
	refs           []reference      // to services
	keyRefs        []reference
	unknown        bool // a key is a secret that is not looked up
}

// opa reads `policy.opa` into JSON, with its secrets. For callers without secrets it is nil if
// one of the keys is a secret.
func (v value) opa(p *uma.PolicySettings) []byte {
	o := &opaReader{services: map[string]any{}, keys: map[string]any{}, at: map[string]value{}}
	doc, m := v.opaObject(opaFields{
		"services":      o.readServices,
		"keys":          o.readKeys,
		"bundles":       o.readBundles,
		"decision_logs": o.readDecisionLogs,
	})
	o.check(m)
	if len(v.r.mistakes) > 0 {
		return nil
	}
	if o.unknown {
		delete(doc, "keys")
		delete(o.bundle, "signing")
	}
	text, err := json.Marshal(doc)
	if err != nil {
		v.wrong("cannot be written as JSON")
		return nil
	}
	config, err := opaservice.Parse(text)
	if err != nil {
		v.wrong("%s", err)
		return nil
	}
	p.OPA = &uma.OPASettings{Source: config.Source()}
	if o.unknown {
		return nil
	}
	if v.r.getenv != nil && v.r.bundleExists {
		o.use(config)
	}
	return text
}

// use reports what OPA's client would report at its first request.
func (o *opaReader) use(config *opaservice.Config) {
	for name, at := range o.at {
		if err := config.Check(name); err != nil {
			at.wrong("%s", err)
		}
	}
}

// check checks the references.
func (o *opaReader) check(m members) {
	for _, ref := range o.refs {
		switch {
		case ref.name == "" && len(o.services) != 1:
			ref.at.wrong("name one of the services: there are %d", len(o.services))
		case ref.name != "" && o.services[ref.name] == nil:
			ref.at.wrong("there is no service %q in policy.opa.services", ref.name)
		}
	}
	for _, ref := range o.keyRefs {
		if o.keys[ref.name] == nil {
			ref.at.wrong("there is no key %q in policy.opa.keys", ref.name)
		}
	}
	if m.byKey != nil && len(m.node.Content) == 0 {
		m.wrong("is empty: want services, keys, bundles or decision_logs")
	}
}

func (o *opaReader) readBundles(v value) any {
	bundles := map[string]any{}
	v.entries(func(name string, v value) { bundles[name] = o.readBundle(v) })
	if len(bundles) != 1 && v.node.Kind == yaml.MappingNode {
		v.wrong("want one bundle, there are %d: `opa build -b` makes one of several folders", len(bundles))
	}
	return bundles
}

func (o *opaReader) readBundle(v value) any {
	bundle, m := v.opaObject(opaFields{
		"service":  reads(value.text),
		"resource": reads(resourcePath),
		"polling": func(v value) any {
			polling, m := v.opaObject(opaFields{
				"min_delay_seconds": opaSeconds, "max_delay_seconds": opaSeconds, "long_polling_timeout_seconds": opaSeconds,
			})
			m.checkDelays()
			return polling
		},
		"signing": func(v value) any {
			signing, _ := v.opaObject(opaFields{
				"keyid": func(v value) any { return o.keyRef(v) }, "scope": reads(value.text), "exclude_files": reads(each(value.text)),
			})
			return signing
		},
		"persist": reads(value.flag),
	})
	if m.has("persist") {
		m.at("persist").note("has no effect: the database always keeps the policy in force")
		delete(bundle, "persist")
	}
	o.serviceRef(m)
	o.bundle = bundle
	return bundle
}

// Why members of OPA's `decision_logs` have no meaning here.
const (
	noDrop    = "no decision is dropped"
	noBuffer  = "the database is the buffer, and nothing in it is dropped"
	noTrigger = "events are sent within the delays, and at once when there are many"
)

// notTaken are such members, by their paths.
var notTaken = map[string]string{
	"policy.opa.decision_logs.drop_decision":                      noDrop,
	"policy.opa.decision_logs.reporting.max_decisions_per_second": noDrop,
	"policy.opa.decision_logs.reporting.buffer_type":              noBuffer,
	"policy.opa.decision_logs.reporting.buffer_size_limit_bytes":  noBuffer,
	"policy.opa.decision_logs.reporting.buffer_size_limit_events": noBuffer,
	"policy.opa.decision_logs.reporting.trigger":                  noTrigger,
	"policy.opa.decision_logs.mask_decision":                      "masks are data.system.log.mask of the policy",
	"policy.opa.decision_logs.nd_builtin_cache":                   "it is in every event",
	"policy.opa.decision_logs.console":                            "`umpire serve --decision-log` writes decisions to stdout or a file",
	"policy.opa.decision_logs.partition_name":                     "name the whole path in resource",
	"policy.opa.decision_logs.plugin":                             "there are no plugins",
	"policy.opa.decision_logs.request_context":                    "an event has what the policy sees of a request",
}

// maxSeconds is the longest delay or time-out: a day. OPA computes in nanoseconds, of which a
// number may be too large.
const maxSeconds = 86400

// atMost reads an integer between two numbers.
func atMost(least, most int) func(value) any {
	return func(v value) any {
		n := v.integer(least)
		if n > most {
			v.wrong("want at most %d", most)
		}
		return n
	}
}

// opaSeconds reads a delay or time-out.
func opaSeconds(v value) any { return atMost(1, maxSeconds)(v) }

func (o *opaReader) readDecisionLogs(v value) any {
	logs, m := v.opaObject(opaFields{
		"service":  reads(value.text),
		"resource": reads(resourcePath),
		"reporting": func(v value) any {
			reporting, m := v.opaObject(opaFields{
				"min_delay_seconds": opaSeconds, "max_delay_seconds": opaSeconds,
				"upload_size_limit_bytes": atMost(opaservice.LeastUpload, opaservice.MostUpload),
			})
			m.checkDelays()
			return reporting
		},
	})
	o.serviceRef(m)
	return logs
}

// maxResource is the longest path of a resource with its query, in bytes.
const maxResource = 2048

// resourcePath reads the path of a resource at a service; it may have a query.
func resourcePath(v value) string {
	s, ok := v.raw()
	switch {
	case !ok:
	case strings.Trim(s, "/") == "" || len(s) > maxResource || !uma.IsText(s) || strings.Contains(s, " "):
		v.wrong("want the path of a resource at the service, such as bundles/photoz.tar.gz")
	case strings.Contains(s, "://"):
		v.wrong("want a path at the service, no URL; policies in a folder or bundle file are named by policy.bundle")
	default:
		return s
	}
	return ""
}

// checkDelays checks a pair of delays.
func (m members) checkDelays() {
	const least, most = "min_delay_seconds", "max_delay_seconds"
	switch {
	case m.has(least) != m.has(most):
		m.wrong("want both %s and %s, or neither", least, most)
	case m.has(least) && len(m.r.mistakes) == 0 && m.at(least).count() > m.at(most).count():
		m.at(most).wrong("is less than %s", least)
	}
}

func (o *opaReader) serviceRef(m members) {
	if m.byKey == nil {
		return
	}
	name := ""
	if m.has("service") {
		name = m.at("service").node.Value
	}
	o.refs = append(o.refs, reference{name, m.at("service")})
}

func (o *opaReader) keyRef(v value) string {
	name := v.text()
	if name != "" {
		o.keyRefs = append(o.keyRefs, reference{name, v})
	}
	return name
}

// opaFields are the members of an object of OPA's configuration, and how their values are read
// into JSON.
type opaFields map[string]func(value) any

func (f opaFields) read(v value) any {
	object, _ := v.opaObject(f)
	return object
}

func (v value) opaObject(known opaFields) (map[string]any, members) {
	object, reading := map[string]any{}, fields{}
	for name, read := range known {
		reading[name] = func(v value) { object[name] = read(v) }
	}
	return object, v.object(reading)
}

// reads makes a reader of any value of one of a type.
func reads[T any](read func(value) T) func(value) any {
	return func(v value) any { return read(v) }
}

// opaSecret reads a secret as those of clients. OPA replaces ${NAME} in its configuration,
// which would be taken for the secret itself.
func (v value) opaSecret() string {
	if strings.HasPrefix(v.node.Value, "${") {
		v.wrong("${NAME} is not replaced here: write env:NAME")
		return ""
	}
	return v.secret()
}

// opaPath reads the path of a file and makes it absolute. It is there if the secrets are.
func (v value) opaPath() string {
	s := v.text()
	if s == "" {
		return ""
	}
	path, err := filepath.Abs(v.r.locate(s))
	if err == nil && v.r.getenv != nil && v.r.bundleExists {
		_, err = os.Stat(path)
	}
	if err != nil {
		v.wrong("%s", err)
	}
	v.r.resolve(v.path, path)
	return path
}
