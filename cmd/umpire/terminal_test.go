package main

import (
	"bytes"
	"errors"
	"testing"
)

// To terminals U+009B is ESC [, and U+202E reverses the text after it.
func TestTerminalShowsNoCommands(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                            "",
		"Žluťoučký kůň\t1\r\n":        "Žluťoučký kůň\t1\r\n",
		"A\u009b2J":                   `A\u009b2J`,
		"x\u009d0;t\u009c":            `x\u009d0;t\u009c`,
		"abc\u202egnp.exe":            `abc\u202egnp.exe`,
		"\x1b[2J\x00\x7f":             `\u001b[2J\u0000\u007f`,
		"a\x9bb":                      `a\ufffdb`,
		"\u2028\u2066\u061c":          `\u2028\u2066\u061c`,
		"a\u200bb\ufeff":              `a\u200bb\ufeff`,
		"\ufffd and \U0001F468\u200d": "\ufffd and \U0001F468\u200d",
	} {
		var b bytes.Buffer
		n, err := (&terminal{&b}).Write([]byte(in))
		if got := b.String(); got != want || n != len(in) || err != nil {
			t.Errorf("%q: got %q, %d, %v, want %q", in, got, n, err, want)
		}
	}
}

// If a disk is full, Write returns how much was written.
func TestTerminalSaysHowMuchWasWritten(t *testing.T) {
	t.Parallel()
	for room, want := range map[int]int{0: 0, 2: 2, 3: 3, 7: 3, 9: 5, 10: 6, 11: 7} {
		n, err := (&terminal{&disk{room}}).Write([]byte("abc\u009bde"))
		if n != want {
			t.Errorf("%d bytes of room: got %d, %v, want %d", room, n, err, want)
		}
		if full := room < len(`abc\u009bde`); (err != nil) != full {
			t.Errorf("%d bytes of room: got %v", room, err)
		}
	}
}

// A disk has room for a number of bytes.
type disk struct{ room int }

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}
