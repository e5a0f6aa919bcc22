package bundles

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/keys"
	"github.com/open-policy-agent/opa/v1/util"

	"example.com/umpire/place"
)

const signaturesName = ".signatures.json"

// Keys are those that policies must be signed with, in OPA's type. Its zero value accepts no
// signature.
type Keys = bundle.VerificationConfig

// maxSignatures limits .signatures.json: about 200 bytes for each file of a bundle.
const maxSignatures = 4 << 20

// maxUnsigned limits the files that an error names.
const maxUnsigned = 20

// signBundle and signFolder end errors: how to sign what was refused.
const signBundle = "sign the bundle, by `opa build --signing-key KEY --bundle .` in the policy folder"

func signFolder(dir string) string {
	return fmt.Sprintf("sign the folder, by `cd %s && opa sign --signing-key KEY --bundle .`", dir)
}

// A SignatureError says why the signature of a policy is refused, about each file that is
// concerned.
type SignatureError struct {
	Mistakes []*place.Mistake

	// Files are those of the Bundle that was not verified, for comparison only.
	Files map[string]string
}

func (e *SignatureError) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// verify compares the files with the signature, and the signature with the keys. Its error
// is a *SignatureError. Signed files that are not read do not count: OPA signs every file of
// a folder, with wrong names for those in folders that begin with a dot. Ignored reports which
// policies are not read either; nil: all are.
func (r *reader) verify(remedy string, ignored func(name string) bool) error {
	signed, err := r.signedFiles()
	if err != nil {
		return r.refuse(&place.Mistake{File: r.shown(signaturesName), Text: err.Error() + ": " + remedy})
	}
	var wrong []*place.Mistake
	add := func(name, text string) {
		wrong = append(wrong, &place.Mistake{File: r.shown(name), Text: text + ": " + remedy})
	}
	present := maps.Clone(r.contents)
	if manifest, found := r.about[ManifestName]; found {
		present[ManifestName] = manifest
	}
	for _, name := range slices.Sorted(maps.Keys(present)) {
		if r.excluded(name) {
			continue
		}
		err := verifyFile(name, present[name], signed)
		if _, unreadable := errors.AsType[*dataError](err); unreadable && isData(name) {
			continue // parse will refuse it
		}
		if err != nil {
			add(name, err.Error())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(signed)) {
		_, found := present[name]
		read := (isPolicy(name) || isData(name)) && (ignored == nil || !ignored(name)) || name == ManifestName
		if read && !found && !r.excluded(name) {
			add(name, "is signed and missing")
		}
	}
	if more := len(wrong) - maxUnsigned; more > 0 {
		wrong = wrong[:maxUnsigned]
		add(signaturesName, fmt.Sprintf("%d more files are not as they were signed", more))
	}
	if len(wrong) > 0 {
		return r.refuse(wrong...)
	}
	return nil
}

func (r *reader) refuse(mistakes ...*place.Mistake) error {
	files := maps.Clone(r.contents)
	maps.DeleteFunc(files, func(name, _ string) bool { return isTest(name) })
	return &SignatureError{Mistakes: mistakes, Files: files}
}

// excluded reports whether a file needs no signature: OPA's signing.exclude_files.
func (r *reader) excluded(name string) bool {
	return slices.ContainsFunc(r.Keys.Exclude, func(pattern string) bool {
		match, err := filepath.Match(pattern, name) // as OPA does
		return match && err == nil
	})
}

// hidden reports whether a file of a folder is not read because of its name.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.Contains(name, "/.") }

// verifyFile compares a file with the signature.
func verifyFile(name, content string, signed map[string]bundle.FileInfo) error {
	info, found := signed[name]
	switch {
	case !found:
		return errors.New("is not in the signature")
	case info.Algorithm == string(bundle.MD5), info.Algorithm == string(bundle.SHA1):
		return fmt.Errorf("is signed by a hash of %s, which can be forged", info.Algorithm)
	case bundle.IsStructuredDoc(name):
		if err := sameForOPA(name, content); err != nil {
			return err
		}
	}
	// OPA's function takes the file out of the map that it is given.
	err := bundle.VerifyBundleFile(name, *bytes.NewBufferString(content), map[string]bundle.FileInfo{name: info})
	if err != nil {
		return errors.New("is not the file that was signed")
	}
	return nil
}

// sameForOPA refuses a data file or manifest that OPA, which signs its value and not its
// text, reads otherwise: its value could be changed and the signature kept.
func sameForOPA(name, content string) error {
	if name == ManifestName {
		name = "manifest.json"
	}
	doc, err := parseData(name, content)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if !strings.HasSuffix(name, ".json") {
		var signed any
		if err := util.Unmarshal([]byte(content), &signed); err != nil {
			return fmt.Errorf("cannot be read: %w", err)
		}
		if ast.MustInterfaceToValue(doc).Compare(ast.MustInterfaceToValue(signed)) != 0 {
			return errors.New("has values that OPA reads otherwise, so that a signature does not prove them: put them into data.json")
		}
	}
	return nil
}

// A token is what OPA does not verify of a signature.
type token struct {
	header struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	claims struct {
		KeyID   string   `json:"keyid"`
		Scope   string   `json:"scope"`
		Expires *float64 `json:"exp"`
	}
}

// signedFiles verifies the signature, and returns the files in it.
func (r *reader) signedFiles() (map[string]bundle.FileInfo, error) {
	text, found := r.about[signaturesName]
	if !found {
		return nil, errors.New("is missing, but the realm has keys (policy.opa.keys), so that its policies must be signed")
	}
	signatures, t, err := parseSignatures(text)
	if err != nil {
		return nil, fmt.Errorf("is not a signature by OPA: %w", err)
	}
	config := *r.Keys
	id, key, err := t.key(&config)
	if err != nil {
		return nil, err
	}
	scope := config.Scope
	if scope == "" {
		scope = key.Scope
	}
	switch {
	case !strings.HasPrefix(key.Algorithm, "HS") && !isPEM(key.Key):
		return nil, fmt.Errorf("cannot be verified: the key %q in policy.opa.keys is no public key in PEM", id)
	case t.header.Algorithm != key.Algorithm:
		return nil, fmt.Errorf("is signed by %q, but the key %q is for %s", short(t.header.Algorithm), id, key.Algorithm)
	case t.claims.Scope != scope:
		return nil, fmt.Errorf("is signed for the scope %q, but the key %q is for %q", short(t.claims.Scope), id, scope)
	}
	config.KeyID = id
	files, err := bundle.VerifyBundleSignature(signatures, &config)
	if err != nil { // OPA's error may have parts of the key
		return nil, fmt.Errorf("is not signed with the key %q, or was changed", id)
	}
	if t.claims.Expires != nil && !r.Now.Before(seconds(*t.claims.Expires)) {
		return nil, fmt.Errorf("expired at %s", seconds(*t.claims.Expires).Format(time.RFC3339))
	}
	return files, nil
}

// parseSignatures parses .signatures.json. Nothing of it is verified.
func parseSignatures(content string) (s bundle.SignaturesConfig, t token, err error) {
	if len(content) > maxSignatures {
		return s, t, fmt.Errorf("more than %d MiB", maxSignatures>>20)
	}
	if err := json.Unmarshal([]byte(content), &s); err != nil {
		return s, t, err
	}
	if len(s.Signatures) != 1 {
		return s, t, fmt.Errorf("want one signature, not %d", len(s.Signatures))
	}
	parts := strings.Split(s.Signatures[0], ".")
	if len(parts) != 3 {
		return s, t, errors.New("want a JWT")
	}
	for i, v := range []any{&t.header, &t.claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return s, t, errors.New("want a JWT")
		}
		if err := json.Unmarshal(text, v); err != nil {
			return s, t, fmt.Errorf("want a JWT: %w", err)
		}
	}
	return s, t, nil
}

// key returns the key that a signature names. `opa sign` names none: then it is the only one.
func (t *token) key(config *Keys) (string, *keys.Config, error) {
	known := slices.Sorted(maps.Keys(config.PublicKeys))
	id := config.KeyID
	for _, named := range []string{t.header.KeyID, t.claims.KeyID} {
		if id == "" {
			id = named
		}
	}
	if id == "" && len(known) == 1 {
		id = known[0]
	}
	key := config.PublicKeys[id]
	switch {
	case id == "":
		return "", nil, fmt.Errorf(`does not name its key, and the realm has several: want one of %s as "keyid" in a file for --claims-file`, strings.Join(known, ", "))
	case key == nil:
		return "", nil, fmt.Errorf("names the key %q, but the realm has %s: want one of these as --verification-key-id of `opa build`", short(id), strings.Join(known, ", "))
	}
	return id, key, nil
}

func isPEM(key string) bool {
	block, _ := pem.Decode([]byte(key))
	return block != nil
}

// seconds returns the time that a claim has. Times that are too large for Go are far away.
func seconds(s float64) time.Time {
	return time.Unix(int64(min(max(s, 0), math.MaxInt32*1000)), 0).UTC()
}

// short limits what an error quotes of a signature.
func short(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
