package main

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"example.com/umpire/realm"
)

// starter are the realm file and policies of a new realm.
//
//go:embed starter
var starter embed.FS

// starterSecrets are generated for each new realm.
var starterSecrets = []string{"secrets/api", "secrets/alice", "secrets/bob"}

// signingAlgs are what a realm can sign with. The starter has the first.
var signingAlgs = []string{"ES256", "EdDSA", "RS256"}

func realmInitCommand(e *env) *cobra.Command {
	var alg string
	cmd := &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Create a realm file with policies, tests and secrets",
		Long: `Write a commented realm file to FOLDER (default: the current one), with policies,
their tests, new secrets in separate files, and the JSON Schema of realm files for
editors. Existing files are never overwritten.

The realm signs its tokens with ES256. Some clients of Keycloak (keycloak-connect,
Spring with jwk-set-uri) trust RS256 alone: give --signing-alg RS256 for them.`,
		Example: "  umpire realm init myrealm\n  umpire realm check myrealm/realm.yaml\n  umpire policy test myrealm/realm.yaml\n  umpire serve --realm myrealm/realm.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			if !slices.Contains(signingAlgs, alg) {
				return invalid("--signing-alg: want ES256, EdDSA or RS256, not %q", alg)
			}
			return e.initRealm(folder, alg)
		},
	}
	cmd.Flags().StringVar(&alg, "signing-alg", signingAlgs[0], "what the realm signs tokens with: ES256, EdDSA or RS256")
	e.outputFlag(cmd)
	return cmd
}

// A starterFile is a file that realm init writes.
type starterFile struct {
	name    string
	content []byte
	mode    fs.FileMode
}

func (e *env) initRealm(folder, alg string) error {
	files, err := starterFiles(alg)
	if err != nil {
		return err
	}
	// All names are checked before the first file is written.
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(folder, f.name)); err == nil {
			return fmt.Errorf("%s exists already, nothing was written: name another folder", filepath.Join(folder, f.name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	written := []string{}
	for _, f := range files {
		path := filepath.Join(folder, f.name)
		if err := writeNew(path, f.content, f.mode); err != nil {
			return err
		}
		written = append(written, path)
		if !e.asJSON() {
			fmt.Fprintln(e.stdout, "wrote", path)
		}
	}
	if e.asJSON() {
		return printJSON(e.stdout, map[string]any{"files": written})
	}
	file := filepath.Join(folder, "realm.yaml")
	fmt.Fprintf(e.stdout, `
next:
  umpire realm check %[1]s
  umpire policy test %[1]s
  umpire serve --realm %[1]s
`, file)
	return nil
}

// starterFiles returns the files of a new realm that signs with alg.
func starterFiles(alg string) ([]starterFile, error) {
	files := []starterFile{
		{"realm.schema.json", realm.Schema(), 0o644},
		{"secrets/.gitignore", []byte("*\n"), 0o600},
	}
	for _, name := range starterSecrets {
		secret := make([]byte, 32)
		rand.Read(secret) // it never returns an error
		files = append(files, starterFile{name, []byte(base64.RawURLEncoding.EncodeToString(secret) + "\n"), 0o600})
	}
	err := fs.WalkDir(starter, "starter", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := starter.ReadFile(path)
		if err != nil {
			return err
		}
		if d.Name() == "realm.yaml" {
			content = bytes.Replace(content, []byte("signing_alg: "+signingAlgs[0]), []byte("signing_alg: "+alg), 1)
		}
		name, err := filepath.Rel("starter", path)
		files = append(files, starterFile{name, content, 0o644})
		return err
	})
	slices.SortFunc(files, func(a, b starterFile) int { return slices.Compare([]byte(a.name), []byte(b.name)) })
	return files, err
}

// writeNew creates a file and its folder. It fails if the file exists. Users who may read
// the file may enter the folder.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), mode|mode&0o444>>2); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
