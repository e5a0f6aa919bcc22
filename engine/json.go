package engine

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"example.com/umpire/uma"
)

// A writer is the sink that makes JSON. Members come in the order of the calls, those of
// maps sorted, so that equal documents have equal bytes. A record is written for each
// permission: encoding/json would take twice as long.
type writer struct {
	buf []byte // each value ends with a comma; see value
	err error  // of the first value that is not JSON
}

// value returns the JSON of the value that begins at an offset of the buffer and has just
// ended.
func (w *writer) value(at int) []byte {
	end := len(w.buf) - 1
	return w.buf[at:end:end]
}

func (w *writer) name(name string) {
	if name != "" {
		w.buf = append(w.buf, '"')
		w.buf = append(w.buf, name...)
		w.buf = append(w.buf, '"', ':')
	}
}

// key is name for text that may have to be escaped. The value that follows has the name "".
func (w *writer) key(k string) {
	w.string(k)
	w.buf = append(w.buf, ':')
}

func (w *writer) object(name string) {
	w.name(name)
	w.buf = append(w.buf, '{')
}

func (w *writer) list(name string) {
	w.name(name)
	w.buf = append(w.buf, '[')
}

func (w *writer) endObject() { w.end('}') }
func (w *writer) endList()   { w.end(']') }

func (w *writer) end(bracket byte) {
	if last := len(w.buf) - 1; w.buf[last] == ',' {
		w.buf = w.buf[:last]
	}
	w.buf = append(w.buf, bracket, ',')
}

func (w *writer) text(name, s string) {
	w.name(name)
	w.string(s)
	w.buf = append(w.buf, ',')
}

func (w *writer) number(name string, n int64) {
	w.name(name)
	w.buf = strconv.AppendInt(w.buf, n, 10)
	w.buf = append(w.buf, ',')
}

func (w *writer) bool(name string, v bool) {
	w.name(name)
	w.buf = strconv.AppendBool(w.buf, v)
	w.buf = append(w.buf, ',')
}

func (w *writer) raw(name string, json []byte) {
	w.name(name)
	w.buf = append(w.buf, json...)
	w.buf = append(w.buf, ',')
}

func (w *writer) marshal(name string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		w.err = err
		raw = []byte("null")
	}
	w.raw(name, raw)
}

func (w *writer) values(name string, m map[string]any) {
	w.object(name)
	for _, k := range sortedKeys(m) {
		w.key(k)
		w.any(m[k])
	}
	w.endObject()
}

// any writes a value as encoding/json would, which allocates for each, and takes three times as
// long.
func (w *writer) any(v any) {
	switch v := v.(type) {
	case bool:
		w.bool("", v)
		return
	case string:
		w.text("", v)
		return
	case []string:
		if v != nil {
			w.texts("", v)
			return
		}
	case []any:
		if v != nil {
			w.list("")
			for i := range v {
				w.any(v[i])
			}
			w.endList()
			return
		}
	case map[string]any:
		if v != nil {
			w.values("", v)
			return
		}
	}
	w.marshal("", v)
}

func (w *writer) lists(name string, m map[string][]string) {
	w.object(name)
	for _, k := range sortedKeys(m) {
		w.key(k)
		w.texts("", m[k])
	}
	w.endObject()
}

func (w *writer) texts(name string, list []string)     { writeTexts(w, name, list) }
func (w *writer) scopes(name string, list []uma.Scope) { writeTexts(w, name, list) }

func writeTexts[S ~string](w *writer, name string, list []S) {
	w.list(name)
	for _, s := range list {
		w.text("", string(s))
	}
	w.endList()
}

// sortedKeys is slices.Sorted of maps.Keys in one allocation.
func sortedKeys[V any](m map[string]V) []string {
	keys := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(keys)
	return keys
}

// string writes a JSON string; encoding/json is called only where something must be
// escaped.
func (w *writer) string(s string) {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			escaped, _ := json.Marshal(s) // a string is always JSON
			w.buf = append(w.buf, escaped...)
			return
		}
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '"')
}

// InputJSON is the policy's input as a record has it, before masks.
func InputJSON(in *uma.Input) ([]byte, error) {
	var w writer
	w.input("", in)
	return w.value(0), w.err
}

func (w *writer) input(name string, in *uma.Input) {
	w.object(name)
	writeInput(w, in)
	w.endObject()
}

// output writes a decision as the policy gave it; nothing if there is none.
func (w *writer) output(name string, out *uma.Output) {
	if out == nil {
		return
	}
	w.object(name)
	w.scopes("granted", out.Granted)
	w.list("need_info")
	for i := range out.NeedInfo {
		w.need(&out.NeedInfo[i])
	}
	w.endList()
	w.scopes("submit", out.Submit)
	w.texts("reasons", out.Reasons)
	w.list("obligations")
	for i := range out.Obligations {
		w.obligation(&out.Obligations[i])
	}
	w.endList()
	if !out.SharesUnknown {
		w.texts("rests_on", out.RestsOn)
	}
	w.object("rpt")
	if out.RPT.TTL != 0 {
		w.number("ttl", int64(out.RPT.TTL))
	}
	if len(out.RPT.Claims) > 0 {
		w.lists("claims", out.RPT.Claims)
	}
	w.endObject()
	w.endObject()
}

func (w *writer) need(n *uma.Need) {
	w.object("")
	w.text("name", n.Name)
	writeOptional(w, "friendly_name", n.FriendlyName)
	writeOptional(w, "claim_type", n.Type)
	if len(n.Formats) > 0 {
		w.texts("claim_token_format", n.Formats)
	}
	if len(n.Issuers) > 0 {
		w.texts("issuer", n.Issuers)
	}
	if len(n.Scopes) > 0 {
		w.scopes("scopes", n.Scopes)
	}
	if n.Redirect != nil {
		w.text("redirect", *n.Redirect)
	}
	w.endObject()
}

func (w *writer) obligation(o *uma.Obligation) {
	w.object("")
	w.text("id", o.ID)
	writeOptional(w, "type", o.Type)
	if len(o.Properties) > 0 {
		w.values("properties", o.Properties)
	}
	w.endObject()
}
