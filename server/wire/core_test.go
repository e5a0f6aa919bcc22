package wire

import (
	"strings"
	"testing"
)

func TestPartsNameWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := NewCore(Parts{})
	for _, part := range []string{"Store", "Policy", "Issuer", "Verifier", "Hasher", "Trust", "Wrapper", "Sealer", "PublicURL", "Now", "NewID", "NewSerial", "Log"} {
		if err == nil || !strings.Contains(err.Error(), "the server has no "+part) {
			t.Errorf("got %v, want that it names %s", err, part)
		}
	}
}
