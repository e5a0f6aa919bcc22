package uripath

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"example.com/umpire/uma"
)

const (
	// maxURIBytes is the longest URI that may be registered.
	maxURIBytes = 2048

	// maxURISegments bounds the candidate keys of one look-up: there are about
	// two for each segment of the path.
	maxURISegments = 256
)

// Check reports why uri may not be registered as a URI of a resource, or nil.
// The text of the error is written for the caller of the API. A URI may be
//
//   - a path, an absolute URI or a URN, found as it is: /album/1, urn:x:y
//   - a template, whose segments with {name} stand for any one segment
//   - one of these with a trailing /* (everything below, and the root itself)
//     or a trailing /*.ext (everything below that ends in .ext)
//
// It must be in the form of a look-up (see Normalize), except for slashes at the
// end. No look-up would find another form, and a broader pattern would decide about the
// page. Rejected: storing its normal form, which is another URI (/search for
// /search?type=x) or a pattern (/a/* for /a/%2A).
func Check(uri string) error {
	switch {
	case uri == "":
		return errors.New("URI is empty")
	case len(uri) > maxURIBytes:
		return fmt.Errorf("URI is longer than %d bytes", maxURIBytes)
	case !uma.IsText(uri):
		return errors.New("URI is not valid UTF-8 or contains a control or invisible character")
	}
	// A parameter ends in the segment where it began: matching goes by segments.
	for segment := range strings.SplitSeq(uri, "/") {
		if fault := checkBraces(segment); fault != "" {
			return fmt.Errorf("URI [%s] is not a valid template: %s", uri, fault)
		}
	}
	if !wildcardFits(uri) {
		return fmt.Errorf("URI [%s] is not a valid template: wildcard '*' is only supported as trailing '/*' "+
			"or as a suffix pattern '/*.ext'", uri)
	}
	return checkNormal(uri)
}

// checkNormal refuses a URI that no look-up finds.
func checkNormal(uri string) error {
	normal, err := Normalize(uri)
	if err != nil {
		return fmt.Errorf("URI [%s] can never be found by a request: %w", uri, err)
	}
	if normal != withoutSlashes(uri) {
		return fmt.Errorf("URI [%s] can never be found by a request: register what is looked up, which is decoded and has no query, "+
			"fragment, matrix parameters, double slashes or dot segments", uri)
	}
	return nil
}

// checkBraces returns what is wrong with the parameters of one segment.
func checkBraces(segment string) string {
	open := -1 // where the parameter being read begins
	for i := range len(segment) {
		switch segment[i] {
		case '{':
			if open >= 0 {
				return "missing closing '}'"
			}
			open = i
		case '}':
			if open < 0 || i == open+1 {
				return "unexpected '}' or empty parameter name"
			}
			open = -1
		}
	}
	if open >= 0 {
		return "missing closing '}'"
	}
	return ""
}

// wildcardFits reports whether uri has no '*', or one where the matcher gives it
// a meaning. A star in the host, in a URN or before a trailing slash has none.
func wildcardFits(uri string) bool {
	stars := strings.Count(uri, "*")
	if stars == 0 {
		return true
	}
	tail := parsePattern(uri).tail
	return stars == 1 && tail != "" && !strings.HasSuffix(uri, "/") && !strings.ContainsAny(tail, "{}")
}

// Normalize returns the form of uri in which it is looked up: without query,
// fragment, matrix parameters and trailing slash, percent-decoded, double slashes
// collapsed and dot segments resolved. Scheme and host stay as they are; a URI
// without a path (urn:x:y) is left alone.
//
// Dot segments are resolved after decoding and after the matrix parameters are
// gone, else /board/%2e%2e/admin and /board/..;/admin would be matched by
// /board/*. Decoding is done once.
//
// An error means that uri names no resource: it is malformed, or two programs may
// read it differently (see checkSegment).
func Normalize(uri string) (string, error) {
	if uri == "" {
		return "", errors.New("URI is empty")
	}
	if err := checkDecoded(uri); err != nil {
		return "", err
	}
	head, path := cutScheme(uri)
	if _, rest, _ := strings.Cut(head, ":"); path == "" && !strings.HasPrefix(rest, "//") {
		if err := checkHead(uri); err != nil {
			return "", err
		}
		return uri, nil
	}
	if i := strings.IndexAny(uri, "?#"); i >= 0 {
		head, path = cutScheme(uri[:i])
	}
	if err := checkHead(head); err != nil {
		return "", err
	}
	segments, err := normalizeSegments(path)
	switch {
	case err != nil:
		return "", err
	case head != "" || strings.HasPrefix(path, "/"):
		return joinURI(head, segments), nil
	case len(segments) == 0:
		return "", errors.New("URI is empty")
	}
	return strings.Join(segments, "/"), nil // a relative path stays one
}

// checkHead refuses dot segments where nothing resolves them: in a URN, or as host.
func checkHead(head string) error {
	for segment := range strings.SplitSeq(head, "/") {
		if segment == "." || segment == ".." {
			return errors.New("URI is malformed: dot segment outside a path")
		}
	}
	return nil
}

// normalizeSegments returns the segments that remain of path. A dot segment never
// climbs above the root (RFC 3986 §5.2.4).
func normalizeSegments(path string) ([]string, error) {
	var segments []string
	for raw := range strings.SplitSeq(path, "/") {
		raw, _, _ = strings.Cut(raw, ";")
		segment, err := url.PathUnescape(raw)
		if err != nil {
			return nil, errors.New("URI is malformed: bad percent-encoding")
		}
		if err := checkSegment(segment); err != nil {
			return nil, err
		}
		switch segment {
		case "", ".":
		case "..":
			segments = segments[:max(len(segments)-1, 0)]
		default:
			segments = append(segments, segment)
		}
	}
	if len(segments) > maxURISegments {
		return nil, fmt.Errorf("URI has more than %d segments", maxURISegments)
	}
	return segments, nil
}

// checkSegment refuses a decoded segment that two programs may read differently: the
// resource server would serve /secret after a decision on /*.
//
//   - An encoded /, ;, ? or # divides a path to whoever decodes it before.
//   - %253B is %3B, and a semicolon to whoever decodes twice.
//   - Some file systems drop dots and blanks at the end of a name.
func checkSegment(segment string) error {
	if err := checkDecoded(segment); err != nil {
		return err
	}
	if strings.ContainsAny(segment, "/;?#") {
		return errors.New("URI is malformed: an encoded slash, semicolon, question mark or number sign")
	}
	for rest := segment; ; {
		var found bool
		if _, rest, found = strings.Cut(rest, "%"); !found {
			break
		}
		if len(rest) >= 2 && isHex(rest[0]) && isHex(rest[1]) {
			return errors.New("URI is malformed: encoded twice")
		}
	}
	if segment != "." && segment != ".." && strings.TrimRightFunc(segment, isDropped) != segment {
		return errors.New("URI is malformed: a segment ends in a dot or a blank")
	}
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func isDropped(r rune) bool { return r == '.' || unicode.IsSpace(r) }

// checkDecoded refuses what a path must not hold, written plainly or encoded:
// broken UTF-8 (an overlong %c0%ae is a dot to a careless decoder), NUL and other
// control characters, and the backslash, which no URI may hold (RFC 3986 §2) and
// which some servers take for a slash.
func checkDecoded(s string) error {
	if !uma.IsText(s) || strings.Contains(s, `\`) {
		return errors.New("URI is malformed: not valid UTF-8, a control or invisible character, or a backslash")
	}
	return nil
}

// Fold returns the key under which a URI is found exactly, whatever its case:
// of a registered URI, and of a normalised one that is looked up. The whole URI is
// folded, the path too, and beyond ASCII, as Keycloak does; it is done here because
// SQLite folds ASCII only. A registered trailing slash makes no difference, since
// no look-up has one.
func Fold(uri string) string {
	return strings.ToLower(withoutSlashes(uri))
}

// withoutSlashes is uri without slashes at its end; the root keeps its own.
func withoutSlashes(uri string) string {
	trimmed := strings.TrimRight(uri, "/")
	if trimmed == "" && uri != "" {
		return "/"
	}
	return trimmed
}

// cutScheme splits uri into scheme and host, and the path. Without a scheme the
// head is empty and the path is all; a URN is all head.
//
//	https://h/p/q   "https://h"  "/p/q"
//	app:/p          "app:"       "/p"
//	urn:x:y         "urn:x:y"    ""
//	/p/q            ""           "/p/q"
func cutScheme(uri string) (head, path string) {
	scheme, rest, found := strings.Cut(uri, ":")
	if !found || !isScheme(scheme) {
		return "", uri
	}
	switch {
	case strings.HasPrefix(rest, "//"):
		host, _, _ := strings.Cut(rest[2:], "/")
		end := len(scheme) + len("://") + len(host)
		return uri[:end], uri[end:]
	case strings.HasPrefix(rest, "/"):
		return uri[:len(scheme)+1], rest
	}
	return uri, ""
}

// isScheme reports whether s is a URI scheme (RFC 3986 §3.1).
func isScheme(s string) bool {
	for i, r := range s {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", r)) {
			return false
		}
	}
	return s != ""
}

// splitURI splits a pattern or a normalised URI into the segments that may be
// matched and the head before them, which is only ever compared: scheme and host,
// a whole URN, or the first segment of a relative path. Trailing slashes count for
// nothing.
func splitURI(uri string) (head string, segments []string) {
	head, path := cutScheme(uri)
	if head == "" {
		i := strings.IndexByte(path, '/')
		if i < 0 {
			return path, nil
		}
		head, path = path[:i], path[i:]
	}
	path = strings.TrimRight(path, "/")
	if path == "" {
		return head, nil
	}
	return head, strings.Split(path[1:], "/")
}

// joinURI is the inverse of splitURI.
func joinURI(head string, segments []string) string {
	if head == "" && len(segments) == 0 {
		return "/"
	}
	return strings.Join(slices.Concat([]string{head}, segments), "/")
}
