package realm

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"example.com/umpire/uma"
)

var (
	realmName  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	entrypoint = regexp.MustCompile(`^data(\.[A-Za-z_][A-Za-z0-9_]*)+$`)
)

// realm reads the whole file. The values set before are the defaults.
func (r *reader) realm(root value) *uma.RealmSpec {
	spec := &uma.RealmSpec{Realm: uma.Realm{
		Enabled: true, Profile: "keycloak", SigningAlg: "RS256", SinkHold: uma.DefaultHold,
		Lifetimes: uma.Lifetimes{
			Access: 5 * time.Minute, RPT: 5 * time.Minute, Refresh: 30 * time.Minute,
			Session: 10 * time.Hour, Ticket: 2 * time.Minute, PCT: 24 * time.Hour,
		},
		Policy: uma.PolicySettings{
			Timeout: 100 * time.Millisecond, MaxPermissions: 200, ResubmitAfter: 24 * time.Hour,
			Entrypoint: "data.uma.authz.decision", Gates: uma.DefaultGates(),
		},
	}}
	refs := new(references)
	top := root.object(fields{
		"realm":        set(&spec.Realm.Name, matching(realmName.MatchString, "want at most 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit")),
		"enabled":      set(&spec.Realm.Enabled, value.flag),
		"profile":      set(&spec.Realm.Profile, value.profile),
		"tokens":       func(v value) { v.tokens(&spec.Realm) },
		"policy":       func(v value) { v.policy(spec) },
		"ticket_reuse": set(&spec.Realm.TicketReuse, value.flag),
		"sinks":        func(v value) { v.object(fields{"hold": set(&spec.Realm.SinkHold, value.age)}) },
		"issuers": func(v value) {
			v.list(func(v value) { spec.Realm.Issuers = append(spec.Realm.Issuers, v.issuer(refs, spec.Realm.Issuers)) })
		},
		"clients": func(v value) {
			v.list(func(v value) { spec.Clients = append(spec.Clients, v.client(refs)) })
		},
		"users": func(v value) {
			v.list(func(v value) { spec.Users = append(spec.Users, v.user(refs)) })
		},
		"scopes": func(v value) {
			spec.Scopes = make(map[string][]uma.Scope)
			v.entries(func(server string, v value) {
				refs.servers = append(refs.servers, reference{server, v})
				spec.Scopes[server] = each(value.scope)(v)
			})
		},
		"resources": func(v value) {
			v.list(func(v value) { spec.Resources = append(spec.Resources, v.resource(refs)) })
		},
	})
	top.need("realm")
	refs.check(spec)
	return spec
}

func (v value) profile() uma.Profile {
	return uma.Profile(oneOf(string(uma.ProfileKeycloak), string(uma.ProfileUMA2))(v))
}

func (v value) tokens(r *uma.Realm) {
	lifetime := duration(time.Second) // tokens write their expiry in seconds
	m := v.object(fields{
		"access":      set(&r.Lifetimes.Access, lifetime),
		"rpt":         set(&r.Lifetimes.RPT, lifetime),
		"refresh":     set(&r.Lifetimes.Refresh, lifetime),
		"session":     set(&r.Lifetimes.Session, lifetime),
		"ticket":      set(&r.Lifetimes.Ticket, lifetime),
		"pct":         set(&r.Lifetimes.PCT, lifetime),
		"signing_alg": set(&r.SigningAlg, oneOf("RS256", "ES256", "EdDSA")),
	})
	if m.has("pct") {
		m.at("pct").note("has no effect yet: persisted claims tokens are issued by a later version")
	}
}

func (v value) policy(spec *uma.RealmSpec) {
	p := &spec.Realm.Policy
	m := v.object(fields{
		"gates":           func(v value) { v.gates(&p.Gates) },
		"bundle":          set(&p.Bundle, value.bundle),
		"opa":             func(v value) { spec.OPA = v.opa(p) },
		"grant":           set(&p.AllOrNothing, func(v value) bool { return oneOf("partial", "all_or_nothing")(v) == "all_or_nothing" }),
		"shadow":          set(&p.Shadow, value.bundle),
		"mode":            set(&p.Manual, func(v value) bool { return oneOf("automatic", "manual")(v) == "manual" }),
		"cache_decisions": func(v value) { p.DecideAnew = !v.flag() },
		"timeout":         set(&p.Timeout, duration(time.Millisecond)),
		"max_permissions": set(&p.MaxPermissions, value.count),
		"resubmit_after":  set(&p.ResubmitAfter, duration(time.Second)),
		"entrypoint":      set(&p.Entrypoint, matching(entrypoint.MatchString, "want the path of a rule, such as data.uma.authz.decision")),
		"removed":         set(&p.Removed, each(matching(removable.MatchString, "want a package (uma.guardrails, uma.policies.album), a policy file (night.rego) or data (data.lib.blocked)"))),
	})
	if p.Bundle != "" && p.OPA != nil && p.OPA.Source != "" {
		m.at("bundle").wrong("is given together with policy.opa.bundles: keep one of them, policies come from one source")
	}
}

func (v value) gates(g *uma.Gates) {
	action := func(into *uma.GateAction) func(value) {
		read := oneOf(string(uma.GateBlocks), string(uma.GateWarns), string(uma.GateOff))
		return func(v value) { *into = uma.GateAction(read(v)) }
	}
	m := v.object(fields{
		"lint":         action(&g.Lint),
		"tests":        action(&g.Tests),
		"coverage":     action(&g.Coverage),
		"min_coverage": set(&g.MinCoverage, value.number),
		"impact":       action(&g.Impact),
		"max_granted":  set(&g.MaxGranted, value.number),
		"max_refused":  set(&g.MaxRefused, value.number),
	})
	if g.MinCoverage > 100 {
		m.at("min_coverage").wrong("want at most 100 per cent")
	}
	if g.Tests == uma.GateOff && m.has("coverage") && g.Coverage != uma.GateOff {
		m.at("coverage").wrong("tests are off, so that nothing is covered: turn tests on, or coverage off")
	}
}

// removable are names of the parts that a policy source loses only if the realm file lists
// them: packages, files and data, as engine.Lost names them.
var removable = regexp.MustCompile(`^(uma\.(guardrails|policies(\.[A-Za-z_]\w*|\[".+"\]))|system\.log|data(\.[A-Za-z_]\w*|\[".+"\])+|[^/].*\.rego)$`)

// bundle reads the path of a policy folder or bundle file, and makes it absolute.
func (v value) bundle() string {
	s := v.text()
	if s == "" {
		return ""
	}
	path, err := filepath.Abs(v.r.locate(s))
	if err != nil {
		v.wrong("%s", err)
		return ""
	}
	v.r.resolve(v.path, path)
	if !v.r.bundleExists {
		return path
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		v.wrong("%s", err)
	case !info.IsDir() && !(info.Mode().IsRegular() && strings.HasSuffix(path, ".tar.gz")):
		v.wrong("%s is neither a folder nor a bundle file (.tar.gz)", path)
	}
	return path
}
