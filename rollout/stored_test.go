package rollout

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

const inputSchema = "/umpire/schemas/input-v1.json"

// TestStoredLibraryAndSchemas: a revision of an earlier version of Umpire is replayed and
// explained with its own library and schemas, which are not those of this version.
func TestStoredLibraryAndSchemas(t *testing.T) {
	t.Parallel()
	settings := uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision"}
	rev := newTrail(t, 0).active
	var schema map[string]any
	if err := json.Unmarshal([]byte(rev.Sources[inputSchema]), &schema); err != nil {
		t.Fatal(err)
	}
	subject := schema["properties"].(map[string]any)["subject"].(map[string]any)
	subject["properties"].(map[string]any)["clearance"] = map[string]any{"type": "number"}
	text, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	rev.Sources[inputSchema] = string(text)
	rev.Sources["/umpire/extra.rego"] = "package uma.extra\n\nlevel := 3\n"
	rev.Sources["album.rego"] = `# METADATA
# schemas:
#   - input: schema["input-v1"]
package uma.policies.album

grant contains "view" if input.subject.clearance > data.uma.extra.level
`
	rev.Hash = engine.ContentOf(rev.Sources) // of all sources
	replayer, err := NewStoredReplayer(t.Context(), rev, settings)
	if err != nil {
		t.Fatal(err)
	}
	stored, own, err := storedSource(rev, settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	explainer, err := engine.NewExplainer(t.Context(), "photoz", own, stored)
	if err != nil {
		t.Fatal(err)
	}
	store := newTrail(t, 1)
	record := store.record(1)
	for clearance, want := range map[string]bool{`"clearance": 4, "id"`: true, `"clearance": 3, "id"`: false} {
		event := strings.Replace(string(record.Event), `"subject":{"id"`, `"subject":{`+clearance, 1)
		d, err := audit.Read([]byte(event))
		if err != nil {
			t.Fatal(err)
		}
		replayed, err := replayer.Replay(t.Context(), &d.Recorded)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(replayed.Result), `"granted":["view"]`); got != want {
			t.Errorf("%s: replayed as %s, want it granted: %v", clearance, replayed.Result, want)
		}
		explained, err := explainer.Explain(t.Context(), &d.Recorded)
		if err != nil {
			t.Fatal(err)
		}
		if got := explained.Scopes[0].Result == "granted"; got != want {
			t.Errorf("%s: explained as %+v, want it granted: %v", clearance, explained.Scopes, want)
		}
	}
	delete(rev.Sources, inputSchema)
	src, err := Parse(engine.RealmFiles(rev.Sources))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.NewReplayer(t.Context(), "photoz", settings, src); err == nil || !strings.Contains(err.Error(), "clearance") {
		t.Errorf("with the schemas of this version: got %v", err)
	}
}
