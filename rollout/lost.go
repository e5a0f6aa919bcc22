package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// CheckLost refuses a source that lost restrictions of the policy that was active before,
// also if the server was restarted in between: if files are moved away for a moment, or a
// volume is not mounted, requests that their policies denied must not be granted. It permits
// a realm file without a policy source. Help ends the error: a second remedy.
func (s *Service) CheckLost(ctx context.Context, realm string, settings uma.PolicySettings, before engine.Outline, src engine.Source, help string) error {
	if settings.Source() == "" {
		return nil
	}
	lost := before.Lost(engine.OutlineOf(src))
	if lost.Everything {
		return fmt.Errorf("policy source %s no longer has any policy file: put the files back, or remove policy.bundle from the file of realm %s%s", Shown(settings.Source()), realm, help)
	}
	var needed []string
	for _, part := range lost.Parts {
		text, err := s.describeNeeded(ctx, realm, settings, part)
		if err != nil {
			return err
		}
		if text != "" {
			needed = append(needed, text)
		}
	}
	if len(needed) > 0 {
		return fmt.Errorf("policy source %s no longer has %s: put the files back, or list the names in policy.removed in the file of realm %s%s", Shown(settings.Source()), strings.Join(needed, ", "), realm, help)
	}
	return nil
}

// describeNeeded describes a lost part that must not be missing, and returns "" if it may.
func (s *Service) describeNeeded(ctx context.Context, realm string, settings uma.PolicySettings, part engine.Part) (string, error) {
	if slices.Contains(settings.Removed, part.Name) || slices.Contains(settings.Removed, part.Package) {
		return "", nil
	}
	note := part.Note
	if part.Types != nil {
		used, err := s.Store.TypesInUse(ctx, realm, part.Types)
		if err != nil || len(used) == 0 {
			return "", err
		}
		note = "there are resources of type " + used[0]
	}
	if note == "" {
		return part.Name, nil
	}
	return fmt.Sprintf("%s (%s)", part.Name, note), nil
}
