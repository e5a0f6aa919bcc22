package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// An explainedText prints explanations of a decision.
type explainedText struct {
	w        io.Writer
	decision *audit.Decision
	recorded bool // the explanation is of what was decided, not of what would be
}

// print prints the explanation of each scope.
func (t *explainedText) print(x *engine.Explanation) {
	for i := range x.Scopes {
		s := &x.Scopes[i]
		fmt.Fprintf(t.w, "%s: %s\n", visible(t.request(s.Scope)), t.outcome(s))
		var lines []explainedLine
		for _, rule := range shownRules(s) {
			lines = addRule(lines, &rule, 1)
		}
		if len(lines) == 0 && s.Result != engine.Failed {
			lines = append(lines, explainedLine{text: "  " + noRules(s)})
		}
		t.printLines(lines)
		fmt.Fprintln(t.w)
	}
	if x.Error != "" {
		fmt.Fprintln(t.w, "error: "+visible(x.Error))
	}
	if x.Cut != "" {
		fmt.Fprintf(t.w, "the explanation takes %s: the rules of the last scopes are left out\n", x.Cut)
	}
}

func (t *explainedText) printTrace(lines []string) {
	for i, line := range lines {
		if i == 0 {
			fmt.Fprintln(t.w)
		}
		fmt.Fprintln(t.w, visible(line))
	}
}

// request names who asked for a scope of which resource.
func (t *explainedText) request(scope string) string {
	d := t.decision
	who := cmp.Or(d.Username, d.Subject)
	if d.Service {
		who = "the service account of " + d.Client
	}
	of := cmp.Or(d.Name, d.Resource)
	switch {
	case scope == "*":
		return fmt.Sprintf("%s, %s", who, cmp.Or(of, "all scopes"))
	case of == "":
		return fmt.Sprintf("%s, %q", who, scope)
	}
	return fmt.Sprintf("%s, %q of %s", who, scope, of)
}

// outcome is the result of a scope in words.
func (t *explainedText) outcome(s *engine.ExplainedScope) string {
	switch s.Result {
	case engine.Granted:
		return "granted"
	case engine.NeedInfo:
		return "not granted; a claim is wanted"
	case engine.Submit:
		return "not granted; " + t.asked(uma.Scope(s.Scope))
	case engine.Failed:
		return "not granted; the policy failed"
	}
	if slices.ContainsFunc(s.Rules, func(r engine.ExplainedRule) bool { return r.Effect == "deny" && r.Held }) {
		return "not granted: denied"
	}
	return "not granted"
}

// asked says whether the owner was asked for a scope that the policy asks the owner for.
func (t *explainedText) asked(scope uma.Scope) string {
	const wants = "the policy asks the owner"
	d := t.decision
	masked := func(path string) bool { return strings.HasPrefix(path, "/result") }
	switch {
	case !t.recorded, slices.ContainsFunc(d.Masked, masked): // then the record does not say it
		return wants
	case slices.Contains(d.Asked, scope):
		return "the owner was asked"
	case !d.Ticket:
		return wants + ", who was not asked: the request had no ticket"
	case d.Answered == string(uma.NeedInfo):
		return wants + ", who was not asked: claims are wanted first"
	}
	return wants + ", who was not asked"
}

// shownRules are the rules that matter for a result: those that made it, and for a scope that is
// not granted, those that could have granted it.
func shownRules(s *engine.ExplainedScope) []engine.ExplainedRule {
	var made, others []engine.ExplainedRule
	for _, r := range s.Rules {
		switch {
		case r.Held && r.Effect == effects[s.Result]:
			made = append(made, r)
		case r.Effect == "grant" && s.Result != engine.Granted:
			others = append(others, r)
		}
	}
	if s.Result == engine.Submit { // the owner is asked because no rule grants
		return append(others, made...)
	}
	return append(made, others...)
}

// effects are the effects of the rules that make a result.
var effects = map[string]string{
	engine.Granted: "grant", engine.Refused: "deny", engine.NeedInfo: "need_info", engine.Submit: "submit",
}

func noRules(s *engine.ExplainedScope) string {
	if len(s.Rules) == 0 {
		return "the rules are not known: either no rule is about this scope, or the realm has its own entry point"
	}
	return "no rule grants this scope"
}

// An explainedLine is a line of text, and the values beside it.
type explainedLine struct{ text, values string }

// printLines aligns the values of lines.
func (t *explainedText) printLines(lines []explainedLine) {
	width := 0
	for _, l := range lines {
		if n := utf8.RuneCountInString(l.text); l.values != "" && n <= maxTextWidth {
			width = max(width, n)
		}
	}
	for _, l := range lines {
		if l.values == "" {
			fmt.Fprintln(t.w, l.text)
			continue
		}
		fmt.Fprintf(t.w, "%-*s  %s\n", width, l.text, l.values)
	}
}

// maxTextWidth is how far values are moved to the right to align them.
const maxTextWidth = 70

// addRule adds a rule and its conditions. The values of conditions that held are shown only
// where they made the rule hold.
func addRule(lines []explainedLine, r *engine.ExplainedRule, level int) []explainedLine {
	indent := strings.Repeat("  ", level)
	words := []string{fmt.Sprintf("%s:%d", r.File, r.Line), r.Label, r.Title}
	if r.Effect == "" && r.Label == "" && r.Title == "" {
		words[1] = r.Name
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	if kind := kinds[r.Effect]; kind != "" {
		words = append(words, kind)
	}
	state := "did not hold"
	if r.Held {
		state = "held" + added(r)
	}
	lines = append(lines, explainedLine{text: indent + visible(strings.Join(words, "  ")+": "+state)})
	for i := range r.Conditions {
		c := &r.Conditions[i]
		mark, values := "✓", ""
		if !c.Held {
			mark = "✗"
		}
		if !c.Held || r.Held {
			values = conditionValues(c)
		}
		lines = append(lines, explainedLine{fmt.Sprintf("%s  %s %d  %s", indent, mark, c.Line, visible(c.Text)), values})
		for j := range c.Because {
			lines = addRule(lines, &c.Because[j], level+3)
		}
	}
	return lines
}

// kinds say what a rule does that does not grant.
var kinds = map[string]string{"deny": "(a denial)", "need_info": "(wants a claim)", "submit": "(asks the owner)"}

// added is what a rule added, as far as it says more than its effect.
func added(r *engine.ExplainedRule) string {
	member := map[string]string{"deny": "reason", "need_info": "name"}[r.Effect]
	var texts []string
	for _, element := range r.Adds {
		text, _ := element.(string)
		if object, ok := element.(map[string]any); ok {
			text, _ = object[member].(string)
		}
		if text != "" && member != "" {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return ", " + strings.Join(texts, ", ")
}

// conditionValues are the values that a condition saw, and why it could not hold.
func conditionValues(c *engine.Condition) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c.Values)) {
		parts = append(parts, name+" = "+shortJSON(c.Values[name]))
	}
	if c.Undefined && c.Error == "" && len(c.Because) == 0 {
		parts = append(parts, "undefined")
	}
	for _, more := range []string{c.Note, c.Error} {
		if more != "" {
			parts = append(parts, more)
		}
	}
	return visible(strings.Join(parts, ", "))
}

// shortJSON is a value as JSON, shortened to about a line.
func shortJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "?"
	}
	text := []rune(strings.TrimSpace(b.String()))
	if len(text) > maxTextWidth {
		return string(text[:maxTextWidth]) + "…"
	}
	return string(text)
}
