package tests

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"

	"example.com/umpire/node"
	"example.com/umpire/rollout"
)

// teamKey is the secret of the key "team" in realms of these tests.
const teamKey = "signing-s3cret-of-the-team"

const teamKeys = "keys: {team: {algorithm: HS256, key: " + teamKey + "}}"

// signing is how OPA signs with a key, with more claims as JSON.
func signing(t testing.TB, key, claims string) *bundle.SigningConfig {
	t.Helper()
	config := bundle.NewSigningConfig(key, "HS256", "")
	if claims != "" {
		config.ClaimsPath = filepath.Join(t.TempDir(), "claims.json")
		if err := os.WriteFile(config.ClaimsPath, []byte(claims), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config
}

// signFolder signs the policies of a folder that has no data, as `opa sign` does.
func signFolder(t testing.TB, dir, key, claims string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.rego"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no policies in %s: %v", dir, err)
	}
	var files []bundle.FileInfo
	for _, path := range paths {
		files = append(files, bundle.NewFile(filepath.Base(path), fmt.Sprintf("%x", sha256.Sum256(readFile(t, path))), "SHA-256"))
	}
	token, err := bundle.GenerateSignedToken(files, signing(t, key, claims), "")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, ".signatures.json"), fmt.Appendf(nil, `{"signatures": [%q]}`, token), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// signedBundle is the photoz bundle with more files, signed as `opa build` does.
func signedBundle(t testing.TB, key, claims string, more map[string]string) []byte {
	t.Helper()
	files := photozPolicies(t)
	maps.Copy(files, more)
	return buildBundle(t, files, func(c *compile.Compiler) {
		c.WithBundleSigningConfig(signing(t, key, claims)).WithBundleVerificationKeyID("team")
	})
}

// refusedBySignature waits for the log about a policy, and looks whether the one from before
// is in force.
func (e *env) refusedBySignature(t *testing.T, status int, words ...string) {
	t.Helper()
	within1s(t, "the log about "+strings.Join(words, ", "), func() bool {
		return e.logged(t, append(words, "policy not activated", `"still_active":true`)...)
	})
	if got := e.board(t); got != status {
		t.Errorf("%v: got %d, want the policy from before", words, got)
	}
}

// TestSignedFolder: where a realm has keys, only what they signed gets in force, by the
// folder or by a command. What is in force stays when its signature expires.
func TestSignedFolder(t *testing.T) {
	t.Parallel()
	dir, data, times := t.TempDir(), t.TempDir(), newClock()
	change := func(content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "guard.rego"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range photozPolicies(t) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change(openGuard)
	signFolder(t, dir, teamKey, "")
	from := []func(*options){
		photozWith(t, nil, "bundle: ./policies", "bundle: "+dir+", opa: {"+teamKeys+"}"),
		func(o *options) { o.Data, o.Clock = data, times },
	}
	t.Run("changed", func(t *testing.T) {
		e := start(t, from...)
		if got := e.board(t); got != 200 {
			t.Fatalf("at the start: got %d, want 200", got)
		}
		change(closedGuard)
		e.refusedBySignature(t, 200, "guard.rego: is not the file that was signed", "opa sign --signing-key KEY --bundle .")
		if err := os.Remove(filepath.Join(dir, ".signatures.json")); err != nil {
			t.Fatal(err)
		}
		e.refusedBySignature(t, 200, ".signatures.json: is missing, but the realm has keys")
		signFolder(t, dir, "of somebody else", "")
		e.refusedBySignature(t, 200, `is not signed with the key \"team\", or was changed`)
		change(openGuard)
		within1s(t, "the log", func() bool { return e.logged(t, "policy source has the active policy again") })
		change(closedGuard)
		signFolder(t, dir, teamKey, fmt.Sprintf(`{"exp": %d}`, times.Now().Add(time.Hour).Unix()))
		within1s(t, "the signed folder", func() bool { return e.board(t) == 403 })
	})
	times.Advance(2 * time.Hour)
	t.Run("expired", func(t *testing.T) {
		e := start(t, from...)
		if got := e.board(t); got != 403 {
			t.Errorf("after a restart: got %d, want the policy in force", got)
		}
		change(openGuard)
		e.refusedBySignature(t, 403, ".signatures.json: expired at ")
		e.beside(t, func(n *node.Node) error {
			_, err := n.Rollout.ActivateFolder(t.Context(), rollout.Order{Realm: e.Realm, By: "carol"}, dir)
			if err == nil || !strings.Contains(err.Error(), ".signatures.json: expired at ") {
				t.Errorf("policy activate: got %v", err)
			}
			return nil
		})
		if strings.Contains(string(readFile(t, filepath.Join(e.Data, "server.log"))), teamKey) {
			t.Error("the key is in the log")
		}
	})
}

// TestSignedRegistry: bundles of a service that are unsigned, changed, signed with another key,
// for another scope or expired are refused; an earlier one is taken.
func TestSignedRegistry(t *testing.T) {
	t.Parallel()
	closed := map[string]string{"guard.rego": closedGuard}
	first := signedBundle(t, teamKey, "", map[string]string{"guard.rego": openGuard})
	g := newRegistry(t, first)
	opa := strings.TrimSuffix(fromRegistry(g.URL), "}") + ", " + teamKeys + "}"
	e := start(t, photozWith(t, nil, "bundle: ./policies", opa), g.polling)
	if got := e.board(t); got != 200 {
		t.Fatalf("at the start: got %d, want 200", got)
	}
	past := e.Clock.Now().Add(-time.Minute).Unix()
	for _, c := range []struct {
		words   string
		content []byte
	}{
		{".signatures.json: is missing, but the realm has keys", photozBundle(t, closed)},
		{`is not signed with the key \"team\", or was changed`, signedBundle(t, "of somebody else", "", closed)},
		{`is signed for the scope \"test\", but the key \"team\" is for \"\"`, signedBundle(t, teamKey, `{"scope": "test"}`, closed)},
		{".signatures.json: expired at ", signedBundle(t, teamKey, fmt.Sprintf(`{"exp": %d}`, past), closed)},
		{"guard.rego: is not in the signature", repacked(t, signedBundle(t, teamKey, "", nil), "guard.rego", closedGuard)},
	} {
		g.put(c.content)
		g.poll(t)
		e.refusedBySignature(t, 200, c.words)
	}
	g.put(signedBundle(t, teamKey, "", closed))
	g.poll(t)
	within1s(t, "the signed bundle", func() bool { return e.board(t) == 403 })
	g.put(first)
	g.poll(t)
	within1s(t, "the first bundle again", func() bool { return e.board(t) == 200 })
}

// repacked is an archive with one more file, and the signature that it had.
func repacked(t testing.TB, archive []byte, name, content string) []byte {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	w := tar.NewWriter(packed)
	add := func(name string, content []byte) {
		t.Helper()
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for r := tar.NewReader(unpacked); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		add(header.Name, content)
	}
	add(name, []byte(content))
	if err := errors.Join(w.Close(), packed.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
