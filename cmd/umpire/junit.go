package main

import (
	"encoding/xml"
	"io"
	"strconv"
	"time"

	"example.com/umpire/bundles"
)

// The elements of JUnit XML that all CI systems read.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     junitTime   `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr"`
		Time    junitTime     `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *struct{}     `xml:"skipped"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitTime time.Duration
)

// MarshalText writes seconds.
func (t junitTime) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(t).Seconds(), 'f', 6, 64), nil
}

// printJUnit writes one test suite for each test file.
func printJUnit(w io.Writer, results *bundles.Results) error {
	var all junitSuites
	for _, r := range results.Tests { // in the order of the files
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != r.File {
			all.Suites = append(all.Suites, junitSuite{Name: r.File})
		}
		all.Suites[len(all.Suites)-1].add(r)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(r bundles.Result) {
	c := junitCase{Class: r.Package, Name: r.Name, File: r.File, Line: r.Line, Time: junitTime(r.Took), Output: r.Output}
	s.Tests++
	s.Time += c.Time
	switch {
	case r.Skipped:
		s.Skipped++
		c.Skipped = &struct{}{}
	case r.Failure != "":
		s.Failures++
		c.Failure = &junitFailure{Message: "failed", Text: r.Failure}
	}
	s.Cases = append(s.Cases, c)
}
