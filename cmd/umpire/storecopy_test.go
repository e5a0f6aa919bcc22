package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// placeAt is the database of a data folder as store copy takes it.
func placeAt(t *testing.T, data string) string {
	t.Helper()
	if url := databases.URL(t, data); url != "" {
		return url
	}
	return data
}

// TestStoreCopy: a server goes on with a copy, and a difference is an exit code of its own.
func TestStoreCopy(t *testing.T) {
	t.Parallel()
	realm := example(t)
	data, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	ok(t, "realm", "apply", "--data", data, realm)
	out := ok(t, "store", "copy", "--from", placeAt(t, data), "--to", copied)
	if want := "put "; !strings.Contains(out, want) || !strings.Contains(out, "signing_key") {
		t.Errorf("got %q, want the tables, and which key file to put where", out)
	}
	key := filepath.Join(data, "umpire.key")
	if got, want := okIn(t, nil, "keys", "list", "--data", copied), ok(t, "keys", "list", "--data", data); got != want {
		t.Errorf("keys: got %q, want %q", got, want)
	}
	check := []string{"store", "copy", "--from", placeAt(t, data), "--to", copied, "--check"}
	if out := ok(t, check...); !strings.Contains(out, "have the same ") {
		t.Errorf("got %q", out)
	}
	okIn(t, nil, "keys", "rotate", "--realm", "photoz", "--data", copied, "--key-file", key)
	stdout, _, code := umpire(t, append(check, "-o", "json")...)
	report := decode[copyReport](t, stdout)
	if code != exitNotPassed || report.Equal || !strings.Contains(report.Difference, "the row of realm") {
		t.Errorf("got exit %d and %+v, want %d and a difference", code, report, exitNotPassed)
	}
}

// okIn is ok without the environment of this process: the folder has SQLite.
func okIn(t *testing.T, environ map[string]string, args ...string) string {
	t.Helper()
	var out, errs buffer
	if code := run(t.Context(), args, func(name string) string { return environ[name] }, &out, &errs); code != 0 {
		t.Fatalf("umpire %s: exit %d\n%s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}

func TestStoreCopyRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		want string
		code int
	}{
		"no source":          {[]string{"--to", data}, "--from is missing", exitUsage},
		"no target":          {[]string{"--from", data}, "--to is missing", exitUsage},
		"an empty folder":    {[]string{"--from", data, "--to", "x"}, "there is no database", exitUsage},
		"another database":   {[]string{"--from", "mysql://umpire:hunter2@db/umpire", "--to", data}, "--from: the URL", exitUsage},
		"a folder too many":  {[]string{"--from", nobody, "--to", data, "--data", data}, "--data is not used", exitUsage},
		"nobody is there":    {[]string{"--from", nobody, "--to", data}, "postgres://umpire@127.0.0.1:1/umpire", exitFailed},
		"nobody takes a row": {[]string{"--from", data, "--to", nobody}, "there is no database", exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stderr, code := umpireIn(t, nil, append([]string{"store", "copy"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hunter2") {
				t.Errorf("got exit %d, want %d, %q and no password:\n%s", code, c.code, c.want, stderr)
			}
		})
	}
}
