package realm_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/umpire/realm"
)

var opaSecrets = map[string]string{
	"TEAM": "team-s3cret", "REGISTRY_TOKEN": "registry-s3cret", "PASSPHRASE": "passphrase-s3cret", "SHARED": "shared-s3cret", "SIGNER": "signer-s3cret",
}

// OPA's configuration is read as an OPA user writes it: secrets and paths are resolved.
func TestOPA(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/opa.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spec, notices, err := realm.Parse("testdata/opa.yaml", content, func(name string) string { return opaSecrets[name] })
	if err != nil || len(notices) > 0 {
		t.Fatal(err, notices)
	}
	if got, want := spec.Realm.Policy.Source(), "service registry, resource bundles/photoz.tar.gz"; got != want || !spec.Realm.Policy.FromService() {
		t.Errorf("got %q, want %q", got, want)
	}
	var got struct {
		Services map[string]struct {
			Headers     map[string]string
			Credentials struct {
				Bearer struct{ Token string }
			}
			TLS struct {
				CA string `json:"ca_cert"`
			}
		}
		Keys map[string]struct{ Key string }
	}
	if err := json.Unmarshal(spec.OPA, &got); err != nil {
		t.Fatal(err)
	}
	registry := got.Services["registry"]
	ca, err := filepath.Abs("testdata/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	if registry.Credentials.Bearer.Token != "registry-s3cret" || registry.Headers["X-Team"] != "team-s3cret" || registry.TLS.CA != ca {
		t.Errorf("got %+v", registry)
	}
	if key := got.Keys["team"].Key; !strings.Contains(key, "BEGIN PUBLIC KEY") {
		t.Errorf("got the key %q", key)
	}
	for name, secret := range opaSecrets {
		if !strings.Contains(string(spec.OPA), secret) || !strings.Contains(string(spec.Content), secret) {
			t.Errorf("%s is not resolved, or is not in the fingerprint of the file", name)
		}
	}
}

// A list of services is what OPA takes, too.
func TestOPAServicesInAList(t *testing.T) {
	t.Parallel()
	spec, _ := parse(t, "realm: r\npolicy: {opa: {services: [{name: a, url: https://a}], bundles: {photoz: {}}}}")
	if got, want := spec.Realm.Policy.Source(), "service a, resource bundles/photoz"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Without secrets a file can be checked all the same. A public key is read from its file.
func TestOPAWithoutSecrets(t *testing.T) {
	t.Parallel()
	spec, _, err := realm.Check("testdata/opa.yaml")
	if err != nil || !spec.Realm.Policy.FromService() || spec.OPA != nil {
		t.Errorf("got %s, %v, want no configuration: one of its keys is unknown", spec.OPA, err)
	}
	key, err := filepath.Abs("testdata/team.pem")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "r.yaml")
	text := "realm: r\npolicy: {opa: {keys: {team: {algorithm: ES256, key: file:" + key + "}}, services: {a: {url: 'https://a', credentials: {bearer: {token: env:T}}}}}}"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if spec, _, err = realm.Check(file); err != nil || !strings.Contains(string(spec.OPA), "BEGIN PUBLIC KEY") {
		t.Errorf("got %s, %v", spec.OPA, err)
	}
}

// What OPA's client would report at its first request is a mistake of the service.
func TestOPAServicesAreChecked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "r.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"realm: r\npolicy:\n  opa:\n    services:\n      a: {url: 'https://a', credentials: {oauth2: {token_url: 'https://t', client_id: c}}}":                                                       "r.yaml:5:10: policy.opa.services.a: please provide one of client_secret",
		"realm: r\npolicy:\n  opa:\n    services:\n      a: {url: 'https://a', tls: {ca_cert: none.pem}}":                                                                                            "r.yaml:5:44: policy.opa.services.a.tls.ca_cert: stat ",
		"realm: r\npolicy:\n  opa:\n    keys: {k: {private_key: n0-pem}}\n    services:\n      a: {url: 'https://a', credentials: {oauth2: {token_url: 'https://t', client_id: c, signing_key: k}}}": "r.yaml:6:10: policy.opa.services.a: failed to decode PEM key",
	} {
		write(text)
		_, _, err := realm.Read(file, noEnv)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "n0-pem") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestOPAMistakes(t *testing.T) {
	t.Parallel()
	const service = "services: {a: {url: 'https://a'}}, "
	for opa, want := range map[string]string{
		`{plugins: {}}`:       "policy.opa.plugins: unknown key; want one of bundles, decision_logs, keys, services",
		`{}`:                  "policy.opa: is empty",
		`[]`:                  "policy.opa: want an object",
		`{services: {a: {}}}`: "policy.opa.services.a.url: is missing",
		`{services: {a: {url: 'https://a', type: oci}}}`:                                                                     "policy.opa.services.a.type: unknown key",
		`{services: [{url: 'https://a'}]}`:                                                                                   "policy.opa.services[0]: a service in a list needs a name",
		`{services: [{name: a, url: 'https://a'}, {name: a, url: 'https://b'}]}`:                                             "policy.opa.services[1]: another service has this name",
		`{services: {a: {url: 'https://u:p4ss@a'}}}`:                                                                         "policy.opa.services.a.url: want an absolute http or https URL",
		`{services: {a: {url: 'https://a?token=p4ss'}}}`:                                                                     "policy.opa.services.a.url: want an absolute http or https URL",
		`{services: {a: {url: 'ftp://a'}}}`:                                                                                  "policy.opa.services.a.url: want an absolute http or https URL",
		`{services: {a: {url: 'https://a', credentials: {bearer: {token: '${p4ss}'}}}}}`:                                     "policy.opa.services.a.credentials.bearer.token: ${NAME} is not replaced here: write env:NAME",
		`{services: {a: {url: 'https://a', credentials: {bearer: {token: 'env:NONE'}}}}}`:                                    "the environment variable NONE is not set",
		`{services: {a: {url: 'https://a', credentials: {bearer: {}}}}}`:                                                     "want exactly one of token and token_path",
		`{services: {a: {url: 'https://a', credentials: {bearer: {token: p4ss}, s3_signing: {}}}}}`:                          "want one of bearer, s3_signing",
		`{services: {a: {url: 'https://a', credentials: {plugin: mine}}}}`:                                                   "policy.opa.services.a.credentials.plugin: unknown key",
		`{services: {a: {url: 'https://a', credentials: {client_tls: {cert: c}}}}}`:                                          "private_key: is missing",
		`{services: {a: {url: 'https://a', credentials: {oauth2: {token_url: 'https://t', signing_key: k}}}}}`:               `there is no key "k"`,
		`{services: {a: {url: 'https://a', credentials: {oauth2: {token_url: 'http://127.0.0.1/t', client_secret: p4ss}}}}}`: "oauth2.token_url: want an absolute https URL",
		`{` + service + `bundles: {}}`:                                                                                       "policy.opa.bundles: want one bundle, there are 0",
		`{` + service + `bundles: {x: {}, y: {}}}`:                                                                           "policy.opa.bundles: want one bundle, there are 2",
		`{` + service + `bundles: {x: {service: b}}}`:                                                                        `policy.opa.bundles.x.service: there is no service "b"`,
		`{bundles: {x: {}}}`: "policy.opa.bundles.x.service: name one of the services: there are 0",
		`{` + service + `bundles: {x: {resource: 'file:///policies'}}}`:                                                                                                       "policy.opa.bundles.x.resource: want a path at the service",
		`{` + service + `bundles: {x: {resource: /}}}`:                                                                                                                        "policy.opa.bundles.x.resource: want the path",
		`{` + service + `bundles: {x: {trigger: manual}}}`:                                                                                                                    "policy.opa.bundles.x.trigger: unknown key",
		`{` + service + `bundles: {x: {polling: {min_delay_seconds: 1}}}}`:                                                                                                    "want both min_delay_seconds and max_delay_seconds",
		`{` + service + `bundles: {x: {polling: {min_delay_seconds: 2, max_delay_seconds: 1}}}}`:                                                                              "max_delay_seconds: is less than min_delay_seconds",
		`{` + service + `bundles: {x: {polling: {min_delay_seconds: 1, max_delay_seconds: 9999999999}}}}`:                                                                     "max_delay_seconds: want at most 86400", // in nanoseconds it is no int64
		`{` + service + `bundles: {x: {polling: {long_polling_timeout_seconds: 9999999999}}}}`:                                                                                "long_polling_timeout_seconds: want at most 86400",
		`{services: {a: {url: 'https://a', response_header_timeout_seconds: 9999999999}}}`:                                                                                    "response_header_timeout_seconds: want at most 86400",
		`{services: {a: {url: 'https://a', credentials: {client_tls: {cert: testdata/opa.yaml, private_key: testdata/opa.yaml, cert_reread_interval_seconds: 9999999999}}}}}`: "cert_reread_interval_seconds: want at most 86400",
		`{` + service + `bundles: {x: {signing: {keyid: k}}}}`:                                                                                                                `policy.opa.bundles.x.signing.keyid: there is no key "k"`,
		`{` + service + `decision_logs: {plugin: mine}}`:                                                                                                                      "policy.opa.decision_logs.plugin: is not taken",
		`{` + service + `decision_logs: {reporting: {max_decisions_per_second: 1}}}`:                                                                                          "policy.opa.decision_logs.reporting.max_decisions_per_second: is not taken",
		`{keys: {k: {}}}`:                              "policy.opa.keys.k: want key, which verifies, or private_key, which signs",
		`{keys: {k: {key: p4ss}}}`:                     "policy.opa.keys.k.key: want a public key in PEM for RS256",
		`{keys: {k: {algorithm: none, key: p4ss}}}`:    "policy.opa.keys.k.algorithm: want RS256",
		`{keys: {k: {key: 'file:testdata/team.pem'}}}`: "policy.opa.keys.k.key: is no key for RS256",
	} {
		_, _, err := realm.Parse("r.yaml", []byte("realm: r\npolicy:\n  opa: "+opa), noEnv)
		mistakes, ok := errors.AsType[realm.Mistakes](err)
		if !ok || !strings.Contains(err.Error(), want) || mistakes[0].Line != 3 || len(mistakes) != 1 || strings.Contains(err.Error(), "p4ss") {
			t.Errorf("%s: got %v, want %q alone", opa, err, want)
		}
	}
	_, _, err := realm.Parse("r.yaml", []byte("realm: r\npolicy: {bundle: policies, opa: {services: {a: {url: 'https://a'}}, bundles: {x: {}}}}"), noEnv)
	if want := "policy.bundle: is given together with policy.opa.bundles"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	spec, notices := parse(t, "realm: r\npolicy: {bundle: policies, opa: {services: {a: {url: 'http://a', allow_insecure_tls: true}}, decision_logs: {}}}")
	if spec.Realm.Policy.FromService() || len(notices) != 2 {
		t.Errorf("got %v, %v", spec.Realm.Policy, notices)
	}
}

// A member of OPA's decision_logs that has no meaning here is refused with the reason.
func TestOPADecisionLogs(t *testing.T) {
	t.Parallel()
	for logs, want := range map[string]string{
		"{drop_decision: /system/log/drop}":                             "decision_logs.drop_decision: is not taken: no decision is dropped",
		"{reporting: {buffer_type: event}}":                             "reporting.buffer_type: is not taken: the database is the buffer",
		"{reporting: {max_decisions_per_second: 5}}":                    "is not taken: no decision is dropped",
		"{reporting: {trigger: manual}}":                                "is not taken: events are sent within the delays",
		"{console: true}":                                               "--decision-log",
		"{consle: true}":                                                "unknown key",
		"{reporting: {upload_size_limit_bytes: 16383}}":                 "want a whole number, at least 16384",
		"{reporting: {upload_size_limit_bytes: 16777217}}":              "want at most 16777216",
		"{reporting: {min_delay_seconds: 1, max_delay_seconds: 86401}}": "want at most 86400",
		"{reporting: {min_delay_seconds: 1}}":                           "want both",
		"{service: other}":                                              `there is no service "other"`,
		"{resource: 'https://logs.example.com/logs'}":                   "want a path at the service",
	} {
		_, _, err := realm.Parse("r.yaml", []byte("realm: r\npolicy: {opa: {services: {a: {url: 'https://a'}}, decision_logs: "+logs+"}}"), noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", logs, err, want)
		}
	}
}
