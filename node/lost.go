package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// checkLost refuses a source that lost restrictions of the policy that was active before,
// also if the server was restarted in between: if files are moved away for a moment, or a
// volume is not mounted, requests that their policies denied must not be granted. It permits
// a realm file without a policy source.
func (p *policies) checkLost(ctx context.Context, r *realmPolicy, state *uma.PolicyState, src engine.Source) error {
	if r.desired.Bundle == "" {
		return nil
	}
	help := ""
	if !r.active {
		help = fromDatabase
	}
	before, err := p.outlineBefore(ctx, r, state)
	if err != nil {
		return err
	}
	lost := before.Lost(engine.OutlineOf(src))
	if lost.Everything {
		return fmt.Errorf("policy source %s no longer has any policy file: put the files back, or remove policy.bundle from the file of realm %s%s", shown(r.desired.Bundle), r.realm, help)
	}
	var needed []string
	for _, part := range lost.Parts {
		text, err := p.describeNeeded(ctx, r, part)
		if err != nil {
			return err
		}
		if text != "" {
			needed = append(needed, text)
		}
	}
	if len(needed) > 0 {
		return fmt.Errorf("policy source %s no longer has %s: put the files back, or list the names in policy.removed in the file of realm %s%s", shown(r.desired.Bundle), strings.Join(needed, ", "), r.realm, help)
	}
	return nil
}

// outlineBefore returns the outline of the policy in force, empty without one or if this
// version cannot read it.
func (p *policies) outlineBefore(ctx context.Context, r *realmPolicy, state *uma.PolicyState) (engine.Outline, error) {
	files, err := p.filesInForce(ctx, r, state)
	if err != nil {
		return engine.Outline{}, fmt.Errorf("read the previous policy: %w", err)
	}
	src, err := parse(files)
	if err != nil {
		p.node.Log.WarnContext(ctx, "the policy source is not compared with the policy that was active before the start: this version cannot read that policy", "realm", r.realm, "err", err)
	}
	return engine.OutlineOf(src), nil
}

// describeNeeded describes a lost part that must not be missing, and returns "" if it may.
func (p *policies) describeNeeded(ctx context.Context, r *realmPolicy, part engine.Part) (string, error) {
	if slices.Contains(r.desired.Removed, part.Name) || slices.Contains(r.desired.Removed, part.Package) {
		return "", nil
	}
	note := part.Note
	if part.Types != nil {
		used, err := p.node.Store.TypesInUse(ctx, r.realm, part.Types)
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
