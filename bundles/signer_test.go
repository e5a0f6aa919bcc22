package bundles_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/keys"
	"github.com/open-policy-agent/opa/v1/util"

	"example.com/umpire/bundles"
)

// A signer signs as OPA does, and is known by a key.
type signer struct {
	algorithm, private, public string
}

func pemOf(kind string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// signers makes a signer for each kind of algorithm.
var signers = sync.OnceValue(func() map[string]signer {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	private, errE := x509.MarshalECPrivateKey(e)
	publicR, errR := x509.MarshalPKIXPublicKey(&r.PublicKey)
	publicE, errP := x509.MarshalPKIXPublicKey(&e.PublicKey)
	return map[string]signer{
		"RS256": {"RS256", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), pemOf("PUBLIC KEY", publicR, errR)},
		"ES256": {"ES256", pemOf("EC PRIVATE KEY", private, errE), pemOf("PUBLIC KEY", publicE, errP)},
		"HS256": {"HS256", "a shared secret of the team", "a shared secret of the team"},
	}
})

// accept returns options with which a signer's signatures are accepted.
func (s signer) accept(id, scope string) bundles.Options {
	o := opts
	o.Folder, o.Now = "policies", noon
	o.Keys = &bundle.VerificationConfig{PublicKeys: map[string]*keys.Config{id: {Key: s.public, Algorithm: s.algorithm, Scope: scope}}}
	return o
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// sign returns what `opa sign --bundle .` writes for files.
func (s signer) sign(t testing.TB, files, claims map[string]string) string {
	t.Helper()
	hasher, err := bundle.NewSignatureHasher(bundle.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var list []bundle.FileInfo
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var v any = []byte(files[name])
		if bundle.IsStructuredDoc(name) {
			if err := util.Unmarshal([]byte(files[name]), &v); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := hasher.HashFile(v)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, bundle.NewFile(name, hex.EncodeToString(sum), "SHA-256"))
	}
	return s.signList(t, list, claims)
}

func (s signer) signList(t testing.TB, list []bundle.FileInfo, claims map[string]string) string {
	t.Helper()
	config := bundle.NewSigningConfig(s.private, s.algorithm, "")
	if claims != nil {
		values := map[string]json.RawMessage{}
		for name, value := range claims {
			values[name] = json.RawMessage(value)
		}
		text, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		config.ClaimsPath = filepath.Join(t.TempDir(), "claims.json")
		if err := os.WriteFile(config.ClaimsPath, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token, err := bundle.GenerateSignedToken(list, config, "")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"signatures": [%q]}`, token)
}

// policies are the files of a signed folder.
func policies() map[string]string {
	return map[string]string{
		"photo.rego":      "package uma.policies.photo\n\ngrant contains \"view\" if true\n",
		"photo_test.rego": "package photo_test\n\ntest_photo if true\n",
		"facts/data.json": `{"limit": 10, "blocked": ["mallory"]}`,
		"data.yaml":       "owner: alice\nshare: 1.50\n",
		".manifest":       `{"roots": [""]}`,
	}
}

func with(files map[string]string, name, content string) map[string]string {
	files = maps.Clone(files)
	files[name] = content
	return files
}

func without(files map[string]string, name string) map[string]string {
	files = maps.Clone(files)
	delete(files, name)
	return files
}
