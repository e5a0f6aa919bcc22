package main

import (
	"strings"
	"testing"
)

// TestTablesAreVisible: names and header values come from clients. They must not contain
// commands for a terminal, nor characters that change the order of text.
func TestTablesAreVisible(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	err := printTable(&b, []string{"NAME"}, [][]string{{"Ålbum \"1\" 日本"}, {"A\u009b2J"}, {"abc\u202egnp.exe"}, {"a\tb\nc\x1b]0;t\a"}, {"\xff"}})
	want := "NAME\nÅlbum \"1\" 日本\nA\\u009b2J\nabc\\u202egnp.exe\na\\tb\\nc\\x1b]0;t\\a\n\ufffd\n"
	if err != nil || b.String() != want {
		t.Errorf("got %q, %v, want %q", b.String(), err, want)
	}
}
