package rollout

import (
	"fmt"
	"strings"
	"testing"

	"example.com/umpire/place"
	"example.com/umpire/uma"
)

// The report of a period is bounded, whatever the gates find.
func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	var findings []Finding
	for i := range 5000 {
		findings = append(findings, Finding{Gate: GateTests, Blocks: true, Mistake: place.Mistake{File: "a_test.rego", Line: i + 1, Text: strings.Repeat("é", 5000)}})
	}
	text := newReport("policies", findings).Text()
	got, err := ParseReport(text)
	if err != nil || len(text) > uma.MaxReport || len(got.Findings) == 0 || len(got.Findings)+got.Omitted != len(findings) || got.Findings[0].Line != 1 {
		t.Errorf("got %d bytes, %v", len(text), err)
	}
	refused := (&GateError{Realm: "r", findings: findings}).Error()
	if !strings.HasPrefix(refused, "gate tests refuses the policy of realm r:\na_test.rego:1: ") || !strings.HasSuffix(refused, fmt.Sprintf("\nand %d more", len(findings)-maxShown)) {
		t.Errorf("got %.100s … %s", refused, refused[len(refused)-20:])
	}
	if none := (*Report)(nil); none.Text() != "" {
		t.Error("no report has a text")
	}
	if r, err := ParseReport(""); r != nil || err != nil {
		t.Errorf("got %v, %v", r, err)
	}
}

// The report of an upload names what was uploaded, not the file that a server kept for a moment.
func TestReportOfAnUpload(t *testing.T) {
	t.Parallel()
	r := newReport("/tmp/x.tar.gz", []Finding{
		{Gate: GateLint, Mistake: place.Mistake{File: "/tmp/x.tar.gz/a.rego", Line: 1, Text: "see /tmp/x.tar.gz/b.rego:2"}}, {Gate: GateCoverage},
	})
	r.rename("/tmp/x.tar.gz", "upload of policies")
	if got := r.Text(); strings.Contains(got, "/tmp") || strings.Count(got, "upload of policies") != 3 {
		t.Errorf("got %s", got)
	}
}
