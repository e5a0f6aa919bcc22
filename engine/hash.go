package engine

import (
	"encoding/binary"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"example.com/umpire/uma"
)

// A hasher is the sink that writes the parts of the input that a policy may read, so that equal
// text means equal parts. Each value begins with its kind, each text with its length, and maps
// are in the order of their names. Two documents that are equal for OPA may have different
// texts: 1 and 1.0, or bytes that are no UTF-8.
type hasher struct {
	buf  []byte
	open []*part // of the objects and lists that have not ended; nil: nothing of it is read
	err  error   // of the first value that is not JSON
}

// all says that the whole of a value is read.
var all = &part{whole: true}

// below is the part of a member of the innermost object or list.
func (h *hasher) below(name string) *part {
	p := h.open[len(h.open)-1]
	switch {
	case p == nil:
		return nil
	case p.whole:
		return all
	}
	return p.members[name]
}

func (h *hasher) bytes(s string) {
	h.buf = binary.AppendUvarint(h.buf, uint64(len(s)))
	h.buf = append(h.buf, s...)
}

// begin writes the kind and the name of a value that is read.
func (h *hasher) begin(kind byte, name string) bool {
	if h.below(name) == nil {
		return false
	}
	h.buf = append(h.buf, kind)
	h.bytes(name)
	return true
}

func (h *hasher) push(kind byte, name string) {
	p := h.below(name)
	h.begin(kind, name)
	h.open = append(h.open, p)
}

func (h *hasher) pop() {
	last := len(h.open) - 1
	if h.open[last] != nil {
		h.buf = append(h.buf, '.')
	}
	h.open = h.open[:last]
}

func (h *hasher) object(name string) { h.push('{', name) }
func (h *hasher) list(name string)   { h.push('[', name) }
func (h *hasher) endObject()         { h.pop() }
func (h *hasher) endList()           { h.pop() }

func (h *hasher) text(name, s string) {
	if h.begin('"', name) {
		h.bytes(s)
	}
}

func (h *hasher) digits(name, number string) {
	if h.begin('1', name) {
		h.bytes(number)
	}
}

func (h *hasher) number(name string, n int64) {
	if h.below(name) != nil {
		h.digits(name, strconv.FormatInt(n, 10))
	}
}

func (h *hasher) bool(name string, v bool) {
	if v {
		h.begin('t', name)
	} else {
		h.begin('f', name)
	}
}

func (h *hasher) texts(name string, list []string)     { hashTexts(h, name, list) }
func (h *hasher) scopes(name string, list []uma.Scope) { hashTexts(h, name, list) }

func hashTexts[S ~string](h *hasher, name string, list []S) {
	if !h.begin('[', name) {
		return
	}
	for _, s := range list {
		h.buf = append(h.buf, '"', 0) // an element has no name
		h.bytes(string(s))
	}
	h.buf = append(h.buf, '.')
}

func (h *hasher) lists(name string, m map[string][]string) {
	hashMap(h, name, m, h.texts)
}

func (h *hasher) values(name string, m map[string]any) {
	hashMap(h, name, m, h.any)
}

// hashMap writes the members of a map that are read, each with its name.
func hashMap[V any](h *hasher, name string, m map[string]V, write func(string, V)) {
	p := h.below(name)
	if p == nil {
		return
	}
	h.begin('{', name)
	// A policy finds a name with bytes that are no UTF-8 by another one.
	for k := range m {
		if !p.whole && !utf8.ValidString(k) {
			p = all
		}
	}
	h.open = append(h.open, all)
	for _, k := range sortedKeys(m) {
		if p.whole || p.members[k] != nil {
			write(k, m[k])
		}
	}
	h.pop()
}

// any takes what builder.value takes.
func (h *hasher) any(name string, v any) {
	switch v := v.(type) {
	case nil:
		h.begin('0', name)
		return
	case bool:
		h.bool(name, v)
		return
	case string:
		h.text(name, v)
		return
	case json.Number:
		if v != "" {
			h.digits(name, string(v))
			return
		}
	case int:
		h.number(name, int64(v))
		return
	case int64:
		h.number(name, v)
		return
	case []string:
		if v != nil {
			h.texts(name, v)
			return
		}
	case []any:
		if v != nil {
			h.list(name)
			for i := range v {
				h.any("", v[i])
			}
			h.endList()
			return
		}
	case map[string]any:
		if v != nil {
			h.values(name, v)
			return
		}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		h.err = err
	}
	if h.begin('j', name) {
		h.bytes(string(raw))
	}
}
