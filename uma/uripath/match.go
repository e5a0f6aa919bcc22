package uripath

import (
	"cmp"
	"slices"
	"strings"
)

// A parsed is a registered URI, split for matching.
type parsed struct {
	head  string   // compared as it is, see splitURI
	fixed []string // a segment each; one with {name} stands for any that is not empty
	tail  string   // "", "*" or "*.ext"
}

func parsePattern(pattern string) parsed {
	head, segments := splitURI(pattern)
	p := parsed{head: head, fixed: segments}
	if n := len(segments); n > 0 {
		last := segments[n-1]
		if last == "*" || strings.HasPrefix(last, "*.") && last != "*." {
			p.fixed, p.tail = segments[:n-1], last
		}
	}
	return p
}

// String returns the pattern without its trailing slashes.
func (p parsed) String() string {
	if p.tail == "" {
		return joinURI(p.head, p.fixed)
	}
	return joinURI(p.head, slices.Concat(p.fixed, []string{p.tail}))
}

func (p parsed) isTemplate() bool {
	return slices.ContainsFunc(p.fixed, isTemplateSegment)
}

func isTemplateSegment(segment string) bool {
	_, after, found := strings.Cut(segment, "{")
	return found && strings.IndexByte(after, '}') > 0
}

// match reports whether p matches the URI of this head and these segments.
//
// The tail "*.ext" matches in its directory and at any depth below it, as /*.html
// has always meant every page of a site, but never beside the directory.
func (p parsed) match(head string, segments []string) bool {
	n := len(p.fixed)
	if head != p.head || len(segments) < n {
		return false
	}
	for i, want := range p.fixed {
		got := segments[i]
		if got != want && (got == "" || !isTemplateSegment(want)) {
			return false
		}
	}
	switch p.tail {
	case "":
		return len(segments) == n
	case "*":
		return true
	}
	return len(segments) > n && strings.HasSuffix(segments[len(segments)-1], p.tail[1:])
}

// Key returns the key under which a registered URI is stored for matching, and the shape
// of a template; the shape is empty if the URI is no template.
//
// The key is the pattern with {} for each template segment and with only the last
// extension of a suffix pattern, so that a path has one suffix key for each
// directory whatever dots it has. Patterns of one key need not match the same: what
// the keys find is matched afterwards. It is folded, because a pattern also reserves
// what it matches without case (see Reaches).
//
// The shape has a letter for each fixed segment, l for literal and t for template,
// then * for a trailing /* or . for a trailing /*.ext:
//
//	/album/1               /album/1               ""
//	/docs/*.tar.gz         /docs/*.gz             ""
//	/resources/{a}/{b}/*   /resources/{}/{}/*     "ltt*"
func Key(pattern string) (key, shape string) {
	p := parsePattern(pattern)
	var letters strings.Builder
	filled := make([]string, 0, len(p.fixed)+1)
	for _, segment := range p.fixed {
		if isTemplateSegment(segment) {
			letters.WriteByte('t')
			segment = "{}"
		} else {
			letters.WriteByte('l')
		}
		filled = append(filled, segment)
	}
	switch {
	case p.tail == "*":
		letters.WriteByte('*')
		filled = append(filled, "*")
	case p.tail != "":
		letters.WriteByte('.')
		filled = append(filled, "*"+lastExtension(p.tail))
	}
	if p.isTemplate() {
		shape = letters.String()
	}
	return foldKey(joinURI(p.head, filled)), shape
}

// foldKey makes equal what any server could take for equal without case. Upper case
// comes first: /ſ and /s have the same.
func foldKey(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// lastExtension returns what follows the last dot of a segment, with the dot, or
// nothing if it has no dot.
func lastExtension(segment string) string {
	i := strings.LastIndexByte(segment, '.')
	if i < 0 {
		return ""
	}
	return segment[i:]
}

// CandidateKeys returns the keys (see Key) of every pattern that may match path,
// which must come from Normalize, given the shapes of the templates there are.
// They are sorted and distinct, and also find what matches without case. There are about
// two for each segment of path and one for each shape.
func CandidateKeys(path string, shapes []string) []string {
	head, decoded := splitURI(path)
	length := len(head) // of what prefix is folded from
	head = foldKey(head)
	segments := make([]string, len(decoded))
	for i := range decoded {
		segments[i] = foldKey(decoded[i])
	}
	keys := []string{joinURI(head, segments)}
	var extension string
	if n := len(segments); n > 0 {
		extension = lastExtension(segments[n-1])
	}
	prefix := head
	for i := 0; length <= maxURIBytes; i++ { // nothing longer is registered
		keys = append(keys, prefix+"/*")
		if i == len(segments) {
			break
		}
		if extension != "" {
			keys = append(keys, prefix+"/*"+extension)
		}
		prefix += "/" + segments[i]
		length += len("/") + len(decoded[i])
	}
	for _, shape := range shapes {
		if key, ok := fillShape(shape, head, segments, extension); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// fillShape returns the key that a template of this shape has if it matches the URI
// of this head and these segments. Not ok means that none can.
func fillShape(shape, head string, segments []string, extension string) (key string, ok bool) {
	letters := strings.TrimRight(shape, "*.")
	n := len(letters)
	if n == 0 || n > len(segments) {
		return "", false
	}
	filled := slices.Clone(segments[:n])
	for i := range filled {
		if letters[i] != 't' {
			continue
		}
		if filled[i] == "" {
			return "", false
		}
		filled[i] = "{}"
	}
	switch shape[n:] {
	case "":
		ok = len(segments) == n
	case "*":
		ok = true
		filled = append(filled, "*")
	case ".":
		ok = len(segments) > n && extension != ""
		filled = append(filled, "*"+extension)
	}
	return joinURI(head, filled), ok
}

// The ways in which a pattern matches, the best first.
const (
	matchExact    = iota
	matchRoot     // /resources/* for /resources
	matchTemplate // all segments, some by parameters
	matchSuffix   // /*.html
	matchBelow    // a trailing /*, of a template or not
)

// A ranking says how well a pattern matches. The smallest is best.
type ranking struct {
	class    int
	segments int // before the tail
	literal  int // bytes of a suffix pattern, but for its parameters
	braces   int

	// text decides between patterns that are equally good, so that the answer does
	// not depend on the order in which they were stored. It prefers the template
	// that is literal for longer, since { sorts after letters and digits.
	text string
}

func (r ranking) compare(o ranking) int {
	return cmp.Or(
		cmp.Compare(r.class, o.class),
		cmp.Compare(o.literal, r.literal),
		cmp.Compare(o.segments, r.segments),
		cmp.Compare(r.braces, o.braces),
		strings.Compare(r.text, o.text),
	)
}

// rank orders the patterns that match a URI. A template with a trailing /* is a
// wildcard like any other: /{tenant}/* must not take precedence over /office/users/*.
func (p parsed) rank(path string, segments []string) ranking {
	r := ranking{text: p.String(), segments: len(p.fixed)}
	r.braces = strings.Count(r.text, "{")
	switch {
	case r.text == path:
		r.class = matchExact
	case p.tail == "":
		r.class = matchTemplate
	case p.tail != "*":
		r.class = matchSuffix
		r.literal = literalBytes(r.text)
	case len(p.fixed) == len(segments) && !p.isTemplate():
		r.class = matchRoot
	default:
		r.class = matchBelow
	}
	return r
}

// literalBytes is the length of a pattern without its parameters, whose names must
// not count.
func literalBytes(pattern string) int {
	n, inside := 0, false
	for i := range len(pattern) {
		switch {
		case pattern[i] == '{':
			inside = true
		case pattern[i] == '}':
			inside = false
		case !inside:
			n++
		}
	}
	return n
}

// Best returns, in ascending order, the indexes of those patterns that match
// path best: more than one where several resources have registered the same
// pattern, none where nothing matches. The path must come from Normalize. The
// order of preference is: exact; a wildcard whose root is the path; the template
// of the whole path with fewest parameters; the longest suffix pattern; the wildcard
// with most segments, then fewest parameters.
func Best(path string, patterns []string) []int {
	head, segments := splitURI(path)
	path = joinURI(head, segments)
	var best ranking
	var indexes []int
	for i, pattern := range patterns {
		p := parsePattern(pattern)
		if !p.match(head, segments) {
			continue
		}
		rank := p.rank(path, segments)
		order := -1
		if len(indexes) > 0 {
			order = rank.compare(best)
		}
		switch {
		case order < 0:
			best, indexes = rank, []int{i}
		case order == 0:
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// Reaches reports whether one of the patterns matches path if neither has case. A
// look-up compares a pattern with case, but many servers serve /admin for /ADMIN.
func Reaches(path string, patterns []string) bool {
	head, segments := splitURI(foldKey(path))
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return parsePattern(foldKey(pattern)).match(head, segments)
	})
}
