package opaservice

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/keys"
	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/open-policy-agent/opa/v1/plugins/rest"
)

// A Config is `policy.opa` of a realm file, with its secrets.
type Config struct {
	Bundle       *Bundle // nil: policies come from policy.bundle
	DecisionLogs *DecisionLogs
	Keys         map[string]*keys.Config

	services map[string]json.RawMessage
	secrets  []string
}

// A Bundle says where policies come from.
type Bundle struct {
	Name     string   `json:"-"`
	Service  string   `json:"service"`
	Resource string   `json:"resource"`
	Polling  Polling  `json:"polling"`
	Signing  *Signing `json:"signing"`
}

// Polling says when a service is asked for a bundle. Times are in seconds.
type Polling struct {
	MinDelay    int64 `json:"min_delay_seconds"`
	MaxDelay    int64 `json:"max_delay_seconds"`
	LongPolling int64 `json:"long_polling_timeout_seconds"` // 0: no long polling
}

// Signing says how the signature of a bundle is verified.
type Signing struct {
	KeyID   string   `json:"keyid"`
	Scope   string   `json:"scope"`
	Exclude []string `json:"exclude_files"`
}

// DecisionLogs says where decision log events are sent.
type DecisionLogs struct {
	Service   string    `json:"service"`
	Resource  string    `json:"resource"`
	Reporting Reporting `json:"reporting"`
}

// Reporting says when and how events are sent. Times are in seconds.
type Reporting struct {
	MinDelay    int64 `json:"min_delay_seconds"`
	MaxDelay    int64 `json:"max_delay_seconds"`
	UploadLimit int64 `json:"upload_size_limit_bytes"` // of a compressed batch
}

// LeastUpload and MostUpload bound Reporting.UploadLimit. A record has at most 64 KiB, some
// 10 KiB compressed; with a smaller limit some could never be sent.
const (
	LeastUpload = 16 << 10
	MostUpload  = 16 << 20
)

// OPA's defaults.
const (
	defaultMinPolling   = 60
	defaultMaxPolling   = 120
	defaultMinReporting = 300
	defaultMaxReporting = 600
	defaultUploadLimit  = 32 << 10
	defaultLogs         = "logs"
)

// Parse reads OPA's configuration in JSON: `services` and `bundles` as objects, `keys` and
// `decision_logs`. Its error has no secret.
func Parse(document []byte) (*Config, error) {
	var raw struct {
		Services     map[string]json.RawMessage `json:"services"`
		Keys         json.RawMessage            `json:"keys"`
		Bundles      map[string]*Bundle         `json:"bundles"`
		DecisionLogs *DecisionLogs              `json:"decision_logs"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(document)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&raw); err != nil {
		return nil, fmt.Errorf("read policy.opa: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read policy.opa: more than one JSON value")
	}
	c := &Config{services: raw.Services, DecisionLogs: raw.DecisionLogs, secrets: secretsOf(document)}
	if raw.Keys != nil {
		var err error
		if c.Keys, err = keys.ParseKeysConfig(raw.Keys); err != nil {
			return nil, fmt.Errorf("read policy.opa: keys: %w", c.redacted(err))
		}
	}
	if len(raw.Bundles) > 1 {
		return nil, errors.New("read policy.opa: bundles: want one bundle")
	}
	for name, b := range raw.Bundles {
		if b == nil {
			return nil, fmt.Errorf("read policy.opa: bundle %s is null", name)
		}
		b.Name, c.Bundle = name, b
	}
	return c, c.complete()
}

// complete adds OPA's defaults, and checks the references to services and keys.
func (c *Config) complete() error {
	if b := c.Bundle; b != nil {
		if b.Resource == "" {
			b.Resource = "bundles/" + b.Name
		}
		p := &b.Polling
		if p.MinDelay == 0 && p.MaxDelay == 0 {
			p.MinDelay, p.MaxDelay = defaultMinPolling, defaultMaxPolling
		}
		if err := c.service("bundles."+b.Name, &b.Service); err != nil {
			return err
		}
		if s := b.Signing; s != nil && s.KeyID != "" && c.Keys[s.KeyID] == nil {
			return fmt.Errorf("read policy.opa: bundles.%s.signing: there is no key %q", b.Name, s.KeyID)
		}
	}
	if d := c.DecisionLogs; d != nil {
		if d.Resource == "" {
			d.Resource = defaultLogs
		}
		r := &d.Reporting
		if r.MinDelay == 0 && r.MaxDelay == 0 {
			r.MinDelay, r.MaxDelay = defaultMinReporting, defaultMaxReporting
		}
		if r.UploadLimit == 0 {
			r.UploadLimit = defaultUploadLimit
		}
		return c.service("decision_logs", &d.Service)
	}
	return nil
}

// service checks the name of a service. Without a name it is the only service.
func (c *Config) service(of string, name *string) error {
	if *name == "" && len(c.services) == 1 {
		*name = slices.Collect(maps.Keys(c.services))[0]
	}
	if c.services[*name] == nil {
		return fmt.Errorf("read policy.opa: %s: there is no service %q", of, *name)
	}
	return nil
}

// Source names the service and the resource of the bundle, for messages and records: without
// a query, which may have credentials. It is empty without a bundle.
func (c *Config) Source() string {
	if c.Bundle == nil {
		return ""
	}
	return SourceOf(c.Bundle.Service, c.Bundle.Resource)
}

// SourceOf is Config.Source of a bundle.
func SourceOf(service, resource string) string {
	resource, _, _ = strings.Cut(resource, "?")
	return fmt.Sprintf("service %s, resource %s", service, strings.Trim(resource, "/"))
}

// Client returns a new client of a service. See the package about its use.
func (c *Config) Client(service string) (rest.Client, error) {
	raw := c.services[service]
	if raw == nil {
		return rest.Client{}, fmt.Errorf("policy.opa has no service %q", service)
	}
	// OPA's client writes to the standard logger without one, and quotes answers there.
	client, err := rest.New(raw, c.Keys, rest.Name(service), rest.Logger(logging.NewNoOpLogger()))
	if err != nil {
		return client, fmt.Errorf("service %s: %w", service, c.redacted(err))
	}
	return client, nil
}

// Check reports what is wrong with the settings of a service before it is used: OPA's client
// checks them at its first request.
func (c *Config) Check(service string) error {
	client, err := c.Client(service)
	if err != nil {
		return err
	}
	settings := client.Config()
	plugin, err := settings.AuthPlugin(nil)
	if err == nil {
		_, err = plugin.NewClient(*settings)
	}
	if err != nil {
		return c.redacted(err)
	}
	return nil
}

// Verification says how bundles and policy folders are verified, in OPA's type. It is nil if
// there is no key that verifies.
func (c *Config) Verification() *bundle.VerificationConfig {
	verifying := map[string]*keys.Config{}
	for id, key := range c.Keys {
		if key.Key != "" {
			verifying[id] = key
		}
	}
	if len(verifying) == 0 {
		return nil
	}
	if c.Bundle == nil || c.Bundle.Signing == nil {
		return bundle.NewVerificationConfig(verifying, "", "", nil)
	}
	s := c.Bundle.Signing
	return bundle.NewVerificationConfig(verifying, s.KeyID, s.Scope, s.Exclude)
}

// maxText limits the text of an error, in bytes: an answer of a token endpoint is in OPA's.
const maxText = 300

// Describe is an error of a request, with the name of its service and without secrets.
func (c *Config) Describe(service string, err error) error {
	if err == nil {
		return nil
	}
	return &requestError{text: fmt.Sprintf("service %s: %s", service, c.redact(withoutURL(err).Error())), err: err}
}

// A requestError has the text of an error without its secrets.
type requestError struct {
	text string
	err  error
}

func (e *requestError) Error() string { return e.text }

func (e *requestError) Is(target error) bool { return errors.Is(e.err, target) }

// withoutURL drops the URL of an error: it may be one that a service redirected to, with
// credentials in its query.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func (c *Config) redacted(err error) error { return errors.New(c.redact(err.Error())) }

// redact removes secrets and line breaks from a text, and shortens it.
func (c *Config) redact(text string) string {
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret, "[secret]")
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// secretMembers are the members of OPA's configuration that are secrets, or objects of them.
var secretMembers = []string{
	"token", "client_secret", "client_assertion", "private_key_passphrase", "key", "private_key", "headers", "additional_headers", "additional_parameters",
}

// secretsOf returns the secrets of a configuration, the longest first: one may be part of
// another.
func secretsOf(document []byte) []string {
	var doc any
	if json.Unmarshal(document, &doc) != nil {
		return nil
	}
	var secrets []string
	var collect func(v any, secret bool)
	collect = func(v any, secret bool) {
		switch v := v.(type) {
		case string:
			if secret && v != "" {
				secrets = append(secrets, v)
			}
		case map[string]any:
			for name, member := range v {
				collect(member, secret || slices.Contains(secretMembers, name))
			}
		}
	}
	collect(doc, false)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}
