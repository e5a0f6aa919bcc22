package main

import (
	"regexp"
	"strings"
	"testing"
)

// TestDemoClinic is the story of a realm without local users: an employer's issuer, a medical
// council's issuer, need_info, a licence that is bound, a sealed file that is refused to a nurse
// with somebody else's licence, and two APIs that show the tokens made for them.
func TestDemoClinic(t *testing.T) {
	t.Parallel()
	out := ok(t, "demo", "clinic", "--exit")
	expectInOrder(t, out,
		"authorization server  http://127.0.0.1:",
		"> person=amara", "< 200",
		"/files/weber", "< 401", "> ticket=", "< 200", "granted  rules: ", "clinic/ward-reads", "/files/weber", "< 200", "Slept well.",
		"/files/stone", "< 401", "> ticket=", "< 403", "need_info", `"licence"`, "record ", "clinic/sealed",
		"> person=amara", "< 200", "> claim_token=", "> ticket=", "< 200", "granted  rules: ", "/files/stone", "< 200", "Asked for discretion.",
		"> person=noah", "/files/stone", "> claim_token=", "> ticket=", "< 403", "need_info", "record ", "clinic/sealed", "claim token: not about the requesting party",
		"/results/weber", "< 200", "haemoglobin", "laboratory/staff-read",
		"/prescriptions/weber", "< 403", "record ", "denied",
		"good for nothing", "/prescriptions/weber", "< 403",
		"/prescriptions/weber", "< 200", "pharmacy/doctors-prescribe",
	)
	_, wanted, _ := strings.Cut(out, `"required_claims":`)
	council := regexp.MustCompile(`medical council +(\S+)`).FindStringSubmatch(out)
	if wanted, _, _ = strings.Cut(wanted, "\n"); council == nil || !strings.Contains(wanted, council[1]) || !strings.Contains(wanted, "IDToken") {
		t.Errorf("need_info names %s, want the council at %v and the format of ID tokens", wanted, council)
	}
	if m := regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]{20,}`).FindString(out); m != "" {
		t.Errorf("a whole token is shown: %s", m)
	}
}
