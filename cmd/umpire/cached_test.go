package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestPolicyCheckCached: policy check says which decisions are cached, and why others are not.
func TestPolicyCheckCached(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		realm []string // a change of the realm file
		text  string
		rows  []cachedRow
	}{
		"all": {nil, nil, "decisions are cached: yes\n", []cachedRow{{Cached: true}}},
		"the time": {
			map[string]string{"late.rego": "package uma.policies.late\n\ngrant contains \"view\" if input.context.time > \"2026\"\n"}, nil,
			"decisions are cached: yes, but not those of data.uma.policies.late, because data.uma.policies.late reads input.context.time (late.rego:3)\n", nil,
		},
		"guardrails": {
			map[string]string{"late.rego": "package uma.guardrails\n\ndeny contains {\"scope\": \"delete\"} if time.now_ns() < 0\n"}, nil,
			"decisions are cached: no, because data.uma.guardrails calls time.now_ns (late.rego:3)\n",
			[]cachedRow{{Because: "data.uma.guardrails calls time.now_ns (late.rego:3)"}},
		},
		"masks": {
			map[string]string{"mask.rego": "package system.log\n\nmask contains \"/input/context/ip\"\n"}, nil,
			"decisions are cached: no, because data.system.log.mask masks the records\n", []cachedRow{{Because: "data.system.log.mask masks the records"}},
		},
		"the setting": {
			nil, []string{"bundle: ./policies", "cache_decisions: false, bundle: ./policies"},
			"decisions are cached: no, because policy.cache_decisions is false\n", []cachedRow{{Because: "policy.cache_decisions is false"}},
		},
	} {
		file := example(t, c.realm...)
		for path, text := range c.files {
			write(t, filepath.Join(filepath.Dir(file), "policies", path), text)
		}
		if got := ok(t, "policy", "check", file); !strings.HasSuffix(got, c.text) {
			t.Errorf("%s: got %q, want %q", name, got, c.text)
		}
		got := decode[checkReport](t, ok(t, "policy", "check", file, "-o", "json")).Cached
		if c.rows != nil && !reflect.DeepEqual(got, c.rows) || c.rows == nil && len(got) < 3 {
			t.Errorf("%s: got %+v, want %+v", name, got, c.rows)
		}
	}
}
