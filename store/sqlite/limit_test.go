package sqlite

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A statement whose LIMIT is only a parameter is prepared at every call: see conn.
func TestLimitsArePreparedOnce(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	bare := regexp.MustCompile(`LIMIT \?\d*(?: \+ 0)?`)
	found := 0
	for _, file := range files {
		if matched, _ := filepath.Match("*_test.go", file); matched || file == "conn.go" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range bare.FindAllString(string(text), -1) {
			found++
			if !strings.HasSuffix(m, " + 0") {
				t.Errorf("%s has %q, which is prepared at every call: write LIMIT ? + 0", file, m)
			}
		}
	}
	if found == 0 {
		t.Error("found no LIMIT: the pattern is out of date")
	}
}
