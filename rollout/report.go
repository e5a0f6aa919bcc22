package rollout

import (
	"encoding/json"
	"fmt"
	"strings"

	"example.com/umpire/bundles"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// A FindingRow is a finding of a gate as programs read it. Line and column are 0 if unknown.
type FindingRow struct {
	Gate     string `json:"gate"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"` // block or warn
	Message  string `json:"message"`
}

// Row is the finding as programs read it. Path is what was examined, for a finding without a
// file.
func (f *Finding) Row(path string) FindingRow {
	row := FindingRow{string(f.Gate), f.File, f.Line, f.Column, "warn", f.Text}
	if f.File == "" {
		row.File = path
	}
	if f.Blocks {
		row.Severity = "block"
	}
	return row
}

// A Report is what the gates found in a policy that was to be activated.
type Report struct {
	Findings []FindingRow  `json:"findings"`
	Omitted  int           `json:"findings_omitted"`
	Tests    *TestCounts   `json:"tests"`  // null: they did not run
	Impact   *ImpactCounts `json:"impact"` // null: no decisions were replayed
}

// TestCounts are the results of the tests of a policy.
type TestCounts struct {
	Passed   int     `json:"passed"`
	Failed   int     `json:"failed"`
	Skipped  int     `json:"skipped"`
	Coverage float64 `json:"coverage"` // per cent of the policies' lines
}

func testCounts(results *bundles.Results) *TestCounts {
	counts := &TestCounts{Failed: results.Failed(), Coverage: results.Coverage}
	for i := range results.Tests {
		if results.Tests[i].Skipped {
			counts.Skipped++
		}
	}
	counts.Passed = len(results.Tests) - counts.Failed - counts.Skipped
	return counts
}

// ImpactCounts are those of an impact report. It has no changes: the report of a period is
// kept for ever, also when the records that name users are gone.
type ImpactCounts struct {
	audit.ImpactReport
	Complete bool `json:"complete"` // false: the time was over before all records were replayed
}

// maxMessage is how long a message in a report may be, in bytes.
const maxMessage = 2000

// newReport returns the report of findings.
func newReport(path string, findings []Finding) *Report {
	r := &Report{Findings: []FindingRow{}}
	for i := range findings {
		row := findings[i].Row(path)
		row.Message = short(row.Message)
		r.Findings = append(r.Findings, row)
	}
	return r
}

// rename replaces the path of what was examined.
func (r *Report) rename(path, name string) {
	for i := range r.Findings {
		f := &r.Findings[i]
		f.File, f.Message = strings.ReplaceAll(f.File, path, name), strings.ReplaceAll(f.Message, path, name)
	}
}

// short is the beginning of a message that is too long.
func short(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + " …"
}

// Text is the report as JSON of at most uma.MaxReport bytes: the last findings are left out
// if there are too many. It is empty for nil.
func (r *Report) Text() string {
	if r == nil {
		return ""
	}
	short := *r
	for {
		text, err := json.Marshal(&short)
		if err == nil && len(text) <= uma.MaxReport {
			return string(text)
		}
		if len(short.Findings) == 0 {
			return ""
		}
		half := len(short.Findings) / 2
		short.Omitted += len(short.Findings) - half
		short.Findings = short.Findings[:half]
	}
}

// ParseReport reads the Text of a report: nil if it is empty.
func ParseReport(text string) (*Report, error) {
	if text == "" {
		return nil, nil
	}
	r := &Report{}
	if err := json.Unmarshal([]byte(text), r); err != nil {
		return nil, fmt.Errorf("read the report of the gates: %w", err)
	}
	return r, nil
}

// A GateError says which gates refuse a policy, and why.
type GateError struct {
	Realm    string
	Report   *Report
	Compiles bool // the policy passes the gates up to check
	findings []Finding
	cause    error // of a policy that could not be read; else nil
}

func (e *GateError) Unwrap() error { return e.cause }

// maxShown is how many findings the text of an error has.
const maxShown = 20

// Error has a line for each finding that blocks, as compilers print them.
func (e *GateError) Error() string {
	var text strings.Builder
	var gate Gate
	shown, more := 0, 0
	for i := range e.findings {
		f := &e.findings[i]
		switch {
		case !f.Blocks:
			continue
		case shown == maxShown:
			more++
			continue
		case f.Gate != gate:
			if gate = f.Gate; shown > 0 {
				text.WriteByte('\n')
			}
			fmt.Fprintf(&text, "gate %s refuses the policy of realm %s:", gate, e.Realm)
		}
		shown++
		text.WriteString("\n" + short(f.Error()))
	}
	if more > 0 {
		fmt.Fprintf(&text, "\nand %d more", more)
	}
	return text.String()
}

// Gates are those that refuse the policy, in their order.
func (e *GateError) Gates() (gates []string) {
	for i := range e.findings {
		if f := &e.findings[i]; f.Blocks && (len(gates) == 0 || gates[len(gates)-1] != string(f.Gate)) {
			gates = append(gates, string(f.Gate))
		}
	}
	return gates
}

// Unreadable makes the error of a source that cannot be read one of the gate that reads.
func Unreadable(realm, path string, err error) *GateError {
	findings := Findings(GateReadable, err)
	return &GateError{Realm: realm, Report: newReport(path, findings), findings: findings, cause: err}
}
