package phc_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/umpire/phc"
)

func hash(m, t, p, salt, digest int) string {
	bytes := func(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", m, t, p, bytes(salt), bytes(digest))
}

func TestParse(t *testing.T) {
	t.Parallel()
	good := hash(19456, 2, 1, 16, 32)
	tests := map[string]struct {
		text string
		want error
	}{
		"good":             {good, nil},
		"least":            {hash(7168, 1, 1, 8, 16), nil},
		"most":             {hash(131072, 10, 8, 64, 64), nil},
		"little memory":    {hash(7167, 2, 1, 16, 32), phc.ErrBounds},
		"much memory":      {hash(131073, 2, 1, 16, 32), phc.ErrBounds},
		"no pass":          {hash(19456, 0, 1, 16, 32), phc.ErrBounds},
		"many passes":      {hash(19456, 11, 1, 16, 32), phc.ErrBounds},
		"no thread":        {hash(19456, 2, 0, 16, 32), phc.ErrBounds},
		"many threads":     {hash(19456, 2, 9, 16, 32), phc.ErrBounds},
		"threads beyond 8": {hash(19456, 2, 257, 16, 32), phc.ErrBounds},
		"short salt":       {hash(19456, 2, 1, 7, 32), phc.ErrBounds},
		"long salt":        {hash(19456, 2, 1, 65, 32), phc.ErrBounds},
		"short digest":     {hash(19456, 2, 1, 16, 15), phc.ErrBounds},
		"long digest":      {hash(19456, 2, 1, 16, 65), phc.ErrBounds},
		"empty":            {"", phc.ErrFormat},
		"no hash":          {"secret", phc.ErrFormat},
		"bcrypt":           {"$2b$10$abcdefghijklmnopqrstuv", phc.ErrFormat},
		"argon2i":          {strings.Replace(good, "argon2id", "argon2i", 1), phc.ErrFormat},
		"version 16":       {strings.Replace(good, "v=19", "v=16", 1), phc.ErrFormat},
		"text before":      {"x" + good, phc.ErrFormat},
		"text after":       {good + "$", phc.ErrFormat},
		"another cost":     {strings.Replace(good, "p=1", "p=1,x=1", 1), phc.ErrFormat},
		"leading zero":     {strings.Replace(good, "t=2", "t=02", 1), phc.ErrFormat},
		"negative":         {strings.Replace(good, "t=2", "t=-2", 1), phc.ErrFormat},
		"overflow":         {strings.Replace(good, "t=2", "t=4294967298", 1), phc.ErrFormat},
		"padded":           {good + "=", phc.ErrFormat},
		"stray bits":       {good[:len(good)-1] + "B", phc.ErrFormat},
		"line end":         {good + "\n", phc.ErrFormat},
		"line end inside":  {strings.Replace(good, "AAAA", "AA\r\nAA", 1), phc.ErrFormat},
	}
	for name, tc := range tests {
		got, err := phc.Parse(tc.text)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
		if err == nil && got.String() != tc.text {
			t.Errorf("%s: got %s, want %s", name, got, tc.text)
		}
	}
}

// Mistakes in a realm file are told with these bounds.
func TestErrBounds(t *testing.T) {
	t.Parallel()
	const want = "parameters out of bounds: m 7168 to 131072, t 1 to 10, p 1 to 8, salt 8 to 64 bytes, hash 16 to 64"
	if got := phc.ErrBounds.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
