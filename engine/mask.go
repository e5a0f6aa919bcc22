package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/uma"
)

// maskable are the members of an event that a mask may change.
var maskable = []string{"input", "result", "nd_builtin_cache"}

// A mask is one change of an event, as OPA defines it; a bare path removes its value.
type mask struct {
	path   []string // below the event
	upsert bool
	value  any
}

// String is the path as erased and masked list it.
func (m mask) String() string { return "/" + strings.Join(m.path, "/") }

// masked applies data.system.log.mask to the event. As in OPA, a mask of a path that does
// not exist does nothing. If a mask cannot be read, masked fails; OPA would lose the event.
func (p *policy) masked(ctx context.Context, e *event) error {
	if ctx.Err() != nil {
		return errDeadline
	}
	plain, err := ast.ValueFromReader(bytes.NewReader(e.json()))
	if err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	var run evaluation
	wanted, err := p.evaluate(ctx, *p.mask, plain, e.Input.Now, &run)
	switch {
	case errors.Is(err, errUndefined):
		return nil
	case err != nil:
		return err
	case len(run.builtinErrors) > 0:
		// Without the message, which may quote a value that is to be masked.
		return fmt.Errorf("%s: %s", run.builtinErrors[0].Location, run.builtinErrors[0].Code)
	}
	masks, err := listOf(wanted, readMask)
	if err != nil {
		return fmt.Errorf("%s: %w", maskRef, err)
	}
	return e.apply(masks)
}

func readMask(v ast.Value) (mask, error) {
	switch v := v.(type) {
	case ast.String:
		return newMask(string(v))
	case ast.Object:
		return readMaskObject(v)
	}
	return mask{}, errors.New("neither a path nor an object")
}

func readMaskObject(doc ast.Value) (m mask, err error) {
	var op, path string
	var value any
	err = members(doc, nil, func(name string, v ast.Value) (err error) {
		switch name {
		case "op":
			op, err = str[string](v)
		case "path":
			path, err = str[string](v)
		case "value":
			value, err = ast.JSON(v)
		}
		return err
	})
	if err != nil {
		return m, err
	}
	if op != "remove" && op != "upsert" {
		return m, fmt.Errorf("op: %q is neither remove nor upsert", op)
	}
	if m, err = newMask(path); err != nil {
		return m, err
	}
	m.upsert, m.value = op == "upsert", value
	return m, nil
}

func newMask(path string) (mask, error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return mask{}, fmt.Errorf("%q: a path must begin with /", path)
	}
	parts := strings.Split(rest, "/")
	if !slices.Contains(maskable, parts[0]) {
		return mask{}, fmt.Errorf("%q: only /%s may be masked", path, strings.Join(maskable, ", /"))
	}
	return mask{path: parts}, nil
}

// scopePaths are the paths of scopes. If a mask changes one of them, custom.decided and
// custom.asked are left out, because they have the same scopes.
var scopePaths = [][]string{{"input", "scopes"}, {"result", "granted"}, {"result", "submit"}}

// touches reports whether a mask changes the value at path, or one above or below it.
func (m mask) touches(path []string) bool {
	return hasPrefix(m.path, path) || hasPrefix(path, m.path)
}

// apply changes the parts of the event that masks name.
func (e *event) apply(masks []mask) error {
	docs := make(map[string]any, len(maskable))
	parts := map[string]*[]byte{"input": &e.input, "result": &e.result, "nd_builtin_cache": &e.nd}
	for _, m := range masks {
		name := m.path[0]
		if *parts[name] == nil {
			continue
		}
		if _, ok := docs[name]; !ok {
			doc, err := decodeJSON(*parts[name])
			if err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
			docs[name] = doc
		}
		doc, done := m.applyTo(docs[name], m.path[1:])
		if done && slices.ContainsFunc(scopePaths, m.touches) {
			e.decided, e.asked = nil, nil
		}
		switch {
		case !done:
			continue
		case m.upsert:
			e.masks = once(e.masks, m.String())
		default:
			e.erased = once(e.erased, m.String())
		}
		docs[name] = doc
	}
	for name, doc := range docs {
		if _, gone := doc.(removed); gone {
			*parts[name] = nil
			continue
		}
		raw, err := json.Marshal(swept(doc))
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		*parts[name] = raw
	}
	e.requestedBy = addressIn(docs["input"], e.requestedBy)
	return nil
}

// once adds a path to a list unless it is there: two masks may name the same path.
func once(paths []string, path string) []string {
	if slices.Contains(paths, path) {
		return paths
	}
	return append(paths, path)
}

// removed takes the place of a removed value until all masks are applied, so that the
// indexes of a list do not move.
type removed struct{}

// swept returns a document without its removed values.
func swept(doc any) any {
	switch doc := doc.(type) {
	case map[string]any:
		for name, v := range doc {
			if _, gone := v.(removed); gone {
				delete(doc, name)
				continue
			}
			doc[name] = swept(v)
		}
	case []any:
		kept := doc[:0]
		for _, v := range doc {
			if _, gone := v.(removed); !gone {
				kept = append(kept, swept(v))
			}
		}
		return kept
	}
	return doc
}

// applyTo returns a document in which the value at path is changed, and whether that place
// exists.
func (m mask) applyTo(doc any, path []string) (any, bool) {
	if _, gone := doc.(removed); gone && !m.upsert {
		return doc, false
	}
	if len(path) == 0 {
		if m.upsert {
			return m.value, true
		}
		return removed{}, true
	}
	switch doc := doc.(type) {
	case map[string]any:
		name := memberName(doc, path[0])
		below, ok := doc[name]
		if !ok {
			if !m.upsert {
				return doc, false
			}
			if len(path) > 1 {
				below = map[string]any{}
			}
		}
		below, done := m.applyTo(below, path[1:])
		if done {
			doc[name] = below
		}
		return doc, done
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(doc) {
			return doc, false
		}
		below, done := m.applyTo(doc[i], path[1:])
		if done {
			doc[i] = below
		}
		return doc, done
	}
	return doc, false
}

// memberName is the member that a part of a path names: literally, or with the escapes of
// URLs or JSON pointers decoded. The names of claims may be URLs, whose slashes must be
// escaped in a path.
func memberName(doc map[string]any, part string) string {
	if _, ok := doc[part]; ok {
		return part
	}
	if unescaped, err := url.PathUnescape(part); err == nil && unescaped != part {
		return unescaped
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
}

// addressIn is requested_by after the input was masked. It has the address of
// input.context.ip, so that a mask of that one applies to it, too.
func addressIn(input any, unmasked string) string {
	if input == nil {
		return unmasked // no mask names the input
	}
	doc, _ := input.(map[string]any)
	about, _ := doc["context"].(map[string]any)
	ip, _ := about["ip"].(string)
	return ip
}

func decodeJSON(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var doc any
	err := dec.Decode(&doc)
	return doc, err
}

// stub is the record of a decision that could not be masked or is too large. It has the
// decision and its policy, and no value that a mask could have removed.
func (e *event) stub(failed string, cause error) ([]byte, error) {
	stub := event{
		Event: &uma.Event{
			ID: e.ID, Batch: e.Batch, Path: e.Path, Labels: e.Labels, Timestamp: e.Timestamp, Answered: e.Answered,
			Input: new(uma.Input),
		},
		realm:    e.realm,
		revision: e.revision,
		failed:   failed,
		stand:    map[string]string{"outcome": outcome(e.Output), "input_sha256": digest(e.input), "result_sha256": digest(e.result)},
	}
	return stub.json(), fmt.Errorf("record of decision %s: %w", e.ID, cause)
}

func outcome(out *uma.Output) string {
	switch {
	case out == nil:
		return "error"
	case len(out.Granted) > 0:
		return "granted"
	case len(out.NeedInfo) > 0:
		return "need_info"
	case len(out.Submit) > 0:
		return "submitted"
	}
	return "denied"
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
