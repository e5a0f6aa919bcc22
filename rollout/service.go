package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/place"
	"example.com/umpire/uma"
)

// ReadArchive reads a bundle file that ExamineArchive accepted; from is put before the paths of
// files in mistakes. Where the realm has keys, it must be signed. A signature that is refused is
// a *bundles.SignatureError.
func (s *Service) ReadArchive(ctx context.Context, realm string, settings uma.PolicySettings, from string, content []byte) (*Content, error) {
	keys, err := s.keys(ctx, realm, settings)
	if err != nil {
		return nil, err
	}
	b, err := bundles.ReadArchive(bytes.NewReader(content), bundles.Options{Parser: engine.ParserOptions(), Folder: from, Keys: keys, Now: s.Now()})
	if err != nil {
		return nil, err
	}
	return contentOf(b, from), nil
}

// ExamineArchive has a bundle file that came over the network read and compiled apart: a small
// file may take all memory. The findings of a file that is refused are in the error, which
// Refused recognizes; any other error may be gone at another try.
func (s *Service) ExamineArchive(ctx context.Context, realm string, settings uma.PolicySettings, from string, content []byte) error {
	keys, err := s.keys(ctx, realm, settings)
	if err != nil {
		return err
	}
	_, err = s.Examine.run(ctx, &Job{Folder: from, Archive: content, Keys: keys, Now: s.Now(), Realm: realm, Entrypoint: settings.Entrypoint})
	return err
}

// ActivateUpload is ActivateFolder for a bundle file that came over the network.
func (s *Service) ActivateUpload(ctx context.Context, o Order, file string) (*Change, error) {
	snapshot, err := s.Store.Snapshot(ctx, o.Realm, s.Now())
	if err != nil {
		return nil, fmt.Errorf("load realm %s: %w", o.Realm, err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read an upload: %w", err)
	}
	err = s.ExamineArchive(ctx, o.Realm, snapshot.Realm.Policy, Shown(file), content)
	if Refused(err) {
		return nil, &RefusedError{err}
	}
	if err != nil {
		return nil, err
	}
	return s.ActivateFolder(ctx, o, file)
}

// UploadedSource reads a bundle file that came over the network and is not to be activated: it
// needs no signature. The error is a RefusedError if it is about the policy.
func (s *Service) UploadedSource(ctx context.Context, realm, file string) (engine.Source, error) {
	snapshot, err := s.Store.Snapshot(ctx, realm, s.Now())
	if err != nil {
		return engine.Source{}, fmt.Errorf("load realm %s: %w", realm, err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return engine.Source{}, fmt.Errorf("read an upload: %w", err)
	}
	_, err = s.Examine.run(ctx, &Job{Folder: Shown(file), Archive: content, Realm: realm, Entrypoint: snapshot.Realm.Policy.Entrypoint})
	if err != nil && !Refused(err) {
		return engine.Source{}, err
	}
	var src engine.Source
	if err == nil {
		src, err = Source(file)
	}
	if err != nil {
		return engine.Source{}, &RefusedError{err}
	}
	return src, nil
}

// Refused reports whether an error of ExamineArchive is about the policy.
func Refused(err error) bool {
	_, found := errors.AsType[*foundError](err)
	return found
}

// Read reads a policy folder or bundle file for a realm. Where the realm has keys, it must be
// signed. A signature that is refused is a *bundles.SignatureError.
func (s *Service) Read(ctx context.Context, realm string, settings uma.PolicySettings, path string) (*Content, error) {
	keys, err := s.keys(ctx, realm, settings)
	if err != nil {
		return nil, err
	}
	return readSigned(path, keys, s.Now())
}

// Signature verifies the signature of a policy folder or bundle file by keys; nil: by none.
// What else is wrong with it is found by the gates after this one.
func Signature(path string, keys *bundles.Keys, now time.Time) []Finding {
	_, err := readSigned(path, keys, now)
	if _, unsigned := errors.AsType[*bundles.SignatureError](err); unsigned {
		return Findings(GateSignature, err)
	}
	return nil
}

// keys returns the keys that the policies of a realm must be signed with, nil if it has none.
func (s *Service) keys(ctx context.Context, realm string, settings uma.PolicySettings) (*bundles.Keys, error) {
	if settings.OPA == nil {
		return nil, nil
	}
	keys, err := s.Keys(ctx, realm, settings.OPA)
	if err != nil {
		return nil, fmt.Errorf("read policy.opa of realm %s: %w", realm, err)
	}
	return keys, nil
}

// Elsewhere says why commands cannot examine the policies of a realm: they come from a service,
// and commands read no network. It is nil if the policies are on this machine.
func Elsewhere(realm string, settings uma.PolicySettings) error {
	if !settings.FromService() {
		return nil
	}
	return fmt.Errorf("the policies of realm %s come from %s, which this command does not ask: name the policy folder, or the bundle file that `umpire policy download` gets, and this file with --realm", realm, settings.Source())
}

// notExamined is the finding about policies that come from a service.
func notExamined(settings uma.PolicySettings) Finding {
	return Finding{Gate: GateReadable, Mistake: place.Mistake{
		Text: "the policies come from " + settings.Source() + ": they are examined when a server takes them",
	}}
}
