package uripath

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestCheckURIRefuses(t *testing.T) {
	t.Parallel()
	const (
		missing    = "missing closing '}'"
		unexpected = "unexpected '}' or empty parameter name"
		wildcard   = "wildcard '*' is only supported as trailing '/*' or as a suffix pattern '/*.ext'"
	)
	for uri, fault := range map[string]string{
		"/a/{":           missing,
		"/a/{b":          missing,
		"/a/{b/c}":       missing,
		"/a/{b{c}}":      missing,
		"/a/{b}{":        missing,
		"/a/{}":          unexpected,
		"/a/}":           unexpected,
		"/a/{b}}":        unexpected,
		"/a/*/b":         wildcard,
		"/x/b*":          wildcard,
		"*":              wildcard,
		"/**":            wildcard,
		"/a/*.":          wildcard,
		"/a/*/":          wildcard,
		"/a/*.b*":        wildcard,
		"/*/*":           wildcard,
		"/a/*.{ext}":     wildcard,
		"/a?x=*":         wildcard,
		"*.png":          wildcard,
		"https://*":      wildcard,
		"https://*.h":    wildcard,
		"https://*.h/*":  wildcard,
		"urn:x:*":        wildcard,
		"urn:x:/*":       wildcard,
		"/a/*/{b}":       wildcard,
		"/{a}/x*{b}/c":   wildcard,
		"https://h/*/p":  wildcard,
		"https://h/p/**": wildcard,
	} {
		want := "URI [" + uri + "] is not a valid template: " + fault
		if err := Check(uri); err == nil || err.Error() != want {
			t.Errorf("Check(%q) = %v, want %s", uri, err, want)
		}
	}
	for uri, want := range map[string]string{
		"":                               "URI is empty",
		"/" + strings.Repeat("a", 2_048): "URI is longer than 2048 bytes",
		"/a\xff":                         "URI is not valid UTF-8 or contains a control or invisible character",
		"/a\x00":                         "URI is not valid UTF-8 or contains a control or invisible character",
		"/a\nb":                          "URI is not valid UTF-8 or contains a control or invisible character",
		"/a\u0085b":                      "URI is not valid UTF-8 or contains a control or invisible character",
	} {
		if err := Check(uri); err == nil || err.Error() != want {
			t.Errorf("Check(%.20q) = %v, want %s", uri, err, want)
		}
	}
}

// A URI that no look-up finds must not be registered: a broader pattern would decide
// about it.
func TestCheckURIRefusesWhatNoLookUpFinds(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"/files/annual%20report", "/search?type=x", "/search?", "/m;k=1/x", "/m;/x", "//a//b", "/a/../b", "/a/./b", "./a", "/a%zz", "/frag#x", "/100%",
		"/100%25", `/back\slash`, "/a%2Fb", "/a%3Bb", "/a%253Bb", "/a.", "/a ", "/a./*", "/a/%2A", "/a/%7Bx%7D", "/a/{x;y}", "/a/{x}.", "/a?/*",
		"https://h?x", "https://h/a%20b", "https://h/p/../q", "app:/p/../q", "urn:x/../y", "urn:\\x", strings.Repeat("/a", 257),
	} {
		err := Check(uri)
		if err == nil || !strings.HasPrefix(err.Error(), "URI ["+uri+"] can never be found by a request: ") {
			t.Errorf("Check(%.40q) = %v, want that it can never be found", uri, err)
		}
	}
}

// Every URI without a pattern that may be registered is found by the same text.
func FuzzCheckURI(f *testing.F) {
	for _, seed := range []string{"/", "/a/", "//", "/a b/c", "https://h/", "urn:x:y", "a/b", "/ä", "/a%zz", "/a;x", "/a.", "x:/", "app:/p"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if Check(uri) != nil {
			return
		}
		path, err := Normalize(uri)
		if err != nil || Fold(path) != Fold(uri) {
			t.Fatalf("%q may be registered, and is looked up as %q, %v", uri, path, err)
		}
		if !matchesURI(uri, path) {
			t.Fatalf("%q may be registered, and does not match itself", uri)
		}
	})
}

func TestCheckURITakes(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"/", "/*", "/*.ext", "/a/*", "/a/*.tar.gz", "/a b/c", "/a/", "/a//", "//", "a", "a/*",
		"https://h/p/*", "https://h/p/*.png", "https://h", "https://h/{id}", "urn:x:y",
		"/{a}", "/a/{b}/*", "/a/{b}/*.png", "/a/x{b}y{c}", "/ä/Ö", "/.well-known/x",
		"/" + strings.Repeat("a", 2_047),
	} {
		if err := Check(uri); err != nil {
			t.Errorf("Check(%q) = %v, want nil", uri, err)
		}
	}
}

func TestNormalizeURI(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"/":                     "/",
		"//":                    "/",
		"/a":                    "/a",
		"/a/":                   "/a",
		"/a//b///":              "/a/b",
		"//h/a":                 "/h/a",
		"/A/b":                  "/A/b",
		"/a?x=1":                "/a",
		"/a/?x=/../b":           "/a",
		"/a#f?x":                "/a",
		"/a;x=1/b;y;z":          "/a/b",
		"/;x=1":                 "/",
		"/a%20b/%C3%A4":         "/a b/ä",
		"/a+b":                  "/a+b",
		"/a/./b":                "/a/b",
		"/a/../b":               "/b",
		"/a/b/..":               "/a",
		"/../../a":              "/a",
		"/..":                   "/",
		"/board/%2e%2e/admin/x": "/admin/x",
		"/board/.%2E/admin/x":   "/admin/x",
		"/board/..;/admin/x":    "/admin/x",
		"/board/%2e%2e;a=b/x":   "/x",
		"/board/.well/x":        "/board/.well/x",
		"/100%25/a%25zz":        "/100%/a%zz",
		"/a/{b}":                "/a/{b}",
		"a/b/":                  "a/b",
		"a/../../b":             "b",
		"https://h":             "https://h",
		"https://h/":            "https://h",
		"https://h?x=/a":        "https://h",
		"https://h#/a":          "https://h",
		"https://H:8/p//q/":     "https://H:8/p/q",
		"https://h/p/../../q":   "https://h/q",
		"https://h/p%20q;a?x#f": "https://h/p q",
		"https://h/..":          "https://h",
		"app:/p/../q":           "app:/q",
		"urn:x:y":               "urn:x:y",
		"urn:x:y;a?b#c%zz/":     "urn:x:y;a?b#c%zz/",
		"urn:a://b?c":           "urn:a://b?c",
	} {
		if got, err := Normalize(uri); err != nil || got != want {
			t.Errorf("Normalize(%q) = %q, %v, want %q", uri, got, err, want)
		}
	}
}

func TestNormalizeURIRefuses(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"", "?x=1", "a/..", ".", "./", // nothing remains, and it is no root
		"/a%", "/a%2", "/a%zz", "https://h/%", // bad percent-encoding
		"/a%2Fb", "/a%2fb", "/board/..%2Fadmin", "https://h/a%2Fb", // a slash to some
		"/a%3Bb", "/a%3B", "/x/..%3B/a", "/x/%2e%2e%3B/a", "/a%3Fb", "/a%23b", "https://h/a%3Bb", // delimiters to whoever decodes before
		"/a%253Bb", "/board/%252e%252e/x", "/board/%252F", "/a%2525", "/a%25aF", // to whoever decodes twice
		"/a.", "/a%2E", "/a%20", "/a ", "/a./b", "/a%20/b", "/board/.../x", "/a%C2%A0", "/x/.. /a", "a. /b", // a name without its end, to some
		`/a\b`, "/a%5Cb", `/board/..\admin`, `https://h\@i/p`, // another slash to some
		"/a%00", "/a\x00", "/a%0d%0aSet-Cookie:x", "/a%7F", "/a%C2%85", "urn:x:\n", "/a?x=\x00", // control characters
		"/a\xff", "/a%ff", "/board/%c0%ae%c0%ae/admin", // no UTF-8
		"urn:x/../y", "https://../p", // dot segments that nothing resolves
		strings.Repeat("/a", 257),
	} {
		if got, err := Normalize(uri); err == nil || got != "" {
			t.Errorf("Normalize(%.40q) = %q, %v, want an error", uri, got, err)
		}
	}
	if _, err := Normalize(strings.Repeat("/a", 256)); err != nil {
		t.Errorf("256 segments: %v", err)
	}
}

func TestFoldURI(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"/Album/1": "/album/1", "/ÄB": "/äb", "/a/": "/a", "/": "/", "": "", "https://H/": "https://h", "urn:X:y": "urn:x:y",
	} {
		if got := Fold(uri); got != want {
			t.Errorf("Fold(%q) = %q, want %q", uri, got, want)
		}
	}
}

func TestURIKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ pattern, key, shape string }{
		{"/", "/", ""},
		{"/album/1", "/album/1", ""},
		{"/album/", "/album", ""},
		{"/*", "/*", ""},
		{"/docs/*", "/docs/*", ""},
		{"/docs/*.png", "/docs/*.png", ""},
		{"/docs/*.tar.gz", "/docs/*.gz", ""},
		{"/resources/{a}/{b}/*", "/resources/{}/{}/*", "ltt*"},
		{"/rest/{version}/loader/load", "/rest/{}/loader/load", "ltll"},
		{"/users/{id}/*.tar.gz", "/users/{}/*.gz", "lt."},
		{"/photo-{id}", "/{}", "t"},
		{"https://h/{a}/b", "https://h/{}/b", "tl"},
		{"https://{h}/b", "https://{h}/b", ""},
		{"https://h/p/*", "https://h/p/*", ""},
		{"urn:x:y", "urn:x:y", ""},
		{"/Docs/{Id}/*.PNG", "/docs/{}/*.png", "lt."},
		{"/Ärger/ſ", "/ärger/s", ""},
	} {
		if again, shape := Key(tt.key); again != tt.key || shape != "" {
			t.Errorf("the key of the key %q is %q with shape %q, want the same without a shape", tt.key, again, shape)
		}
		if key, shape := Key(tt.pattern); key != tt.key || shape != tt.shape {
			t.Errorf("Key(%q) = %q, %q, want %q, %q", tt.pattern, key, shape, tt.key, tt.shape)
		}
	}
}

func TestCandidateKeys(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path   string
		shapes []string
		want   []string
	}{
		{"/", nil, []string{"/", "/*"}},
		{"/a", []string{"lt", "t*"}, []string{"/*", "/a", "/a/*", "/{}/*"}},
		{
			"/a/b.tar.gz", []string{"lt", "t.", "tt.", "t", "ltt*"},
			[]string{"/*", "/*.gz", "/a/*", "/a/*.gz", "/a/b.tar.gz", "/a/b.tar.gz/*", "/a/{}", "/{}/*.gz"},
		},
		{
			"https://h/p/q", []string{"tl"},
			[]string{"https://h/*", "https://h/p/*", "https://h/p/q", "https://h/p/q/*", "https://h/{}/q"},
		},
		{"a/b", nil, []string{"a/*", "a/b", "a/b/*"}},
		{"/Ä/ſ.PNG", []string{"lt", "t."}, []string{"/*", "/*.png", "/ä/*", "/ä/*.png", "/ä/s.png", "/ä/s.png/*", "/ä/{}", "/{}/*.png"}},
	} {
		slices.Sort(tt.want)
		if got := CandidateKeys(tt.path, tt.shapes); !slices.Equal(got, tt.want) {
			t.Errorf("CandidateKeys(%q, %q) = %q, want %q", tt.path, tt.shapes, got, tt.want)
		}
	}
}

// A hostile path must not cost thousands of keys, nor keys longer than any pattern.
func TestCandidateKeysAreFew(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		strings.Repeat("/a", 255) + "/" + strings.Repeat(".", 1_000),
		strings.Repeat("/"+strings.Repeat("a", 1_000), 256),
	} {
		keys := CandidateKeys(path, nil)
		if len(keys) > 2*256+2 {
			t.Errorf("CandidateKeys gave %d keys for %.20q…", len(keys), path)
		}
		tooLong := func(key string) bool { return len(key) > 2_048+1_001 && key != path }
		if slices.ContainsFunc(keys, tooLong) {
			t.Errorf("CandidateKeys gave keys for %.20q… that are longer than any pattern", path)
		}
	}
}

// A pattern reaches what any server could take for what it matches.
func TestReachesURI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"/admin/*", "/ADMIN/keys", true},
		{"/ADMIN/*", "/admin/keys", true},
		{"/{Tenant}/Users", "/a/USERS", true},
		{"/x/*.PNG", "/x/y.png", true},
		{"/x/*.png", "/y/y.png", false},
		{"/strasse/*", "/ſtraſſe/1", true}, // ſ has the upper case of s
		{"/k/*", "/\u212a/1", true},        // the Kelvin sign has the lower case of K
		{"/ärger/1", "/ÄRGER/1", true},
		{"https://h/A", "HTTPS://H/a", true},
		{"/adm", "/ADMIN", false},
	} {
		if got := Reaches(tt.path, []string{"/none", tt.pattern}); got != tt.want {
			t.Errorf("Reaches(%q, %q) = %v, want %v", tt.path, tt.pattern, got, tt.want)
		}
		key, shape := Key(tt.pattern)
		if tt.want && !slices.Contains(CandidateKeys(tt.path, []string{shape}), key) {
			t.Errorf("the key %q of %q is no candidate for %q", key, tt.pattern, tt.path)
		}
	}
}

// Whatever an exact look-up takes for equal, a pattern does.
func TestFoldsAgree(t *testing.T) {
	t.Parallel()
	for r := range rune(unicode.MaxRune) {
		if s := string(r); r != '/' && !Reaches("/x/"+s, []string{"/x/" + Fold(s)}) && !strings.ContainsAny(s, "{}*") {
			t.Errorf("%U and its Fold are not the same to a pattern", r)
		}
	}
}

// matchesURI reports whether a pattern, by itself, is the best match of a path.
func matchesURI(pattern, path string) bool { return len(Best(path, []string{pattern})) == 1 }

func TestMatchURI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"/a", "/a", true},
		{"/a", "/A", false}, // without case only Fold compares
		{"/a", "/a/b", false},
		{"/a/", "/a", true},
		{"/*", "/", true},
		{"/*", "/a/b", true},
		{"/*", "https://h/a", false},
		{"/a/*", "/a", true},
		{"/a/*", "/a/b/c", true},
		{"/a/*", "/ab", false},
		{"/a/*", "/b/a/c", false},
		{"/{x}", "/a", true},
		{"/{x}", "/", false},
		{"/{x}", "/a/b", false},
		{"/a/{x}/*", "/a/b", true},
		{"/a/{x}/*", "/a", false},
		{"/{x}/*", "/", false},
		{"/a/{x}/b", "/a//b", false},
		{"/photo-{id}", "/photo-1", true},
		{"/*.html", "/index.html", true},
		{"/*.html", "/a/b/index.html", true},
		{"/*.html", "/index.html/a", false},
		{"/*.html", "/index.htm", false},
		{"/*.html", "/html", false},
		{"/a/*.tar.gz", "/a/b.tar.gz", true},
		{"/a/*.tar.gz", "/a/b.gz", false},
		{"/a.png/*.png", "/a.png", false}, // the directory is not below itself
		{"/u/{id}/*.png", "/u/7/x/y.png", true},
		{"/u/{id}/*.png", "/u/7.png", false},
		{"https://h/*", "https://h", true},
		{"https://h/p/{x}", "https://h/p/q", true},
		{"https://h/p/*", "http://h/p/q", false},
		{"https://h/p/*", "https://i/p/q", false},
		{"https://h/p/*", "/p/q", false},
		{"https://{h}/p", "https://i/p", false},
		{"https://*", "https://h", false},
		{"a/*", "a/b", true},
		{"a/*", "/a/b", false},
		{"urn:x:y", "urn:x:y", true},
		{"urn:x:/*", "urn:x:/y", false},
	} {
		if got := matchesURI(tt.pattern, tt.path); got != tt.want {
			t.Errorf("matchesURI(%q, %q) = %v, want %v", tt.pattern, tt.path, got, tt.want)
		}
	}
}

// Faults of the server that this one replaces.
func TestMatchURIFaultsNotCopied(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, pattern, asked string
		want                 bool
	}{
		{"the prefix of a suffix pattern counts", "/users/*.png", "/img.png", false},
		{"and does when it is there", "/users/*.png", "/users/img.png", true},
		{"and with dot segments in between", "/users/*.png", "/users/../img.png", false},
		{"an absolute wildcard matches", "https://h/p/*", "https://h/p/q", true},
		{"encoded dot segments are resolved", "/board/*", "/board/%2e%2e/admin/x", false},
		{"to what they mean", "/admin/*", "/board/%2e%2e/admin/x", true},
		{"so are those with matrix parameters", "/board/*", "/board/..;x=1/admin/x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path, err := Normalize(tt.asked)
			if err != nil {
				t.Fatal(err)
			}
			if got := matchesURI(tt.pattern, path); got != tt.want {
				t.Errorf("matchesURI(%q, %q) = %v, want %v", tt.pattern, path, got, tt.want)
			}
		})
	}
}

// The patterns and look-ups that clients know from Keycloak's PathMatcher.
func TestBestMatchesWorkedExamples(t *testing.T) {
	t.Parallel()
	patterns := []string{
		"/*", "/resources/*", "/resources-a/*", "/resources-b/{pattern}", "/resources-c/{pattern}/*",
		"/resources/{pattern}/{pattern}/*", "/resources/{pattern}/sub-resources/{pattern}/*",
		"/resources/{pattern}/sub-resources/{pattern}/*", "/rest/{version}/loader/loadTwo", "/rest/{version}/loader/load",
		"/rest/{version}/carts/{cartId}/cartactions/{actionId}", "/rest/v1/carts/{cartId}/cartactions/123",
		"/dummy/605dc7ff310256017a2ec84f", "/dummy/605dc7ff310256017a2ec84f/*",
	}
	for asked, want := range map[string]string{
		"/test":                          "/*",
		"/resources-a/test":              "/resources-a/*",
		"/resources":                     "/resources/*",
		"/resources/":                    "/resources/*",
		"/resources-b/a":                 "/resources-b/{pattern}",
		"/resources-c/a/b":               "/resources-c/{pattern}/*",
		"/resources/a/b/c":               "/resources/{pattern}/{pattern}/*",
		"/resources/a/sub-resources/c/d": "/resources/{pattern}/sub-resources/{pattern}/*",
		"/rest/v1/loader/load":           "/rest/{version}/loader/load",

		"/rest/v2/carts/123/cartactions/123":             "/rest/{version}/carts/{cartId}/cartactions/{actionId}",
		"/rest/v2/carts/{cartId}/cartactions/123":        "/rest/{version}/carts/{cartId}/cartactions/{actionId}",
		"/rest/{version}/carts/123/cartactions/123":      "/rest/{version}/carts/{cartId}/cartactions/{actionId}",
		"/rest/{version}/carts/{cartId}/cartactions/123": "/rest/{version}/carts/{cartId}/cartactions/{actionId}",
		"/rest/v2/carts/345/cartactions/123":             "/rest/{version}/carts/{cartId}/cartactions/{actionId}",
		"/rest/v1/carts/123/cartactions/123":             "/rest/v1/carts/{cartId}/cartactions/123",
		"/rest/v1/carts/{cartId}/cartactions/123":        "/rest/v1/carts/{cartId}/cartactions/123",
		"/rest/v1/carts/345/cartactions/123":             "/rest/v1/carts/{cartId}/cartactions/123",

		"/dummy/605dc7ff310256017a2ec84f":                                       "/dummy/605dc7ff310256017a2ec84f",
		"/dummy/605dc7ff310256017a2ec84f/nestedObject/605dc7fe310256017a2ec84c": "/dummy/605dc7ff310256017a2ec84f/*",
	} {
		t.Run(asked, func(t *testing.T) {
			t.Parallel()
			path, err := Normalize(asked)
			if err != nil {
				t.Fatal(err)
			}
			var wanted []int
			for i, p := range patterns {
				if p == want {
					wanted = append(wanted, i)
				}
			}
			if got := Best(path, patterns); !slices.Equal(got, wanted) {
				t.Errorf("Best(%q) = %v, want %v (%s)", path, got, wanted, want)
			}
			if got := Best(path, found(path, patterns)); len(got) != len(wanted) {
				t.Errorf("by candidate keys %d patterns match best, want %d", len(got), len(wanted))
			}
		})
	}
}

// found returns those patterns that a store would find for path by their keys.
func found(path string, patterns []string) []string {
	var shapes []string
	for _, p := range patterns {
		if _, shape := Key(p); shape != "" {
			shapes = append(shapes, shape)
		}
	}
	keys := CandidateKeys(path, shapes)
	return slices.DeleteFunc(slices.Clone(patterns), func(p string) bool {
		key, _ := Key(p)
		return !slices.Contains(keys, key)
	})
}

func TestBestMatchesOrder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path string
		patterns   []string // the best first
	}{
		{"exact, template, suffix, wildcard", "/a/b.png", []string{"/a/b.png", "/a/{x}", "/a/*.png", "/a/*", "/*"}},
		{"exact before wildcard root", "/a", []string{"/a", "/a/*", "/{x}", "/*"}},
		{"template text itself", "/a/{x}", []string{"/a/{x}", "/a/{y}"}},
		{"template with more segments", "/a/b/c", []string{"/{x}/b/c", "/{x}/b/*", "/{x}/*"}},
		{"a template that ends in a wildcard is a wildcard", "/a/b/c", []string{"/a/b/*", "/a/{x}/*", "/{x}/b/*", "/{x}/{y}/*", "/a/*", "/{x}/*", "/*"}},
		{"and no wildcard root", "/a/b", []string{"/a/b/*", "/a/{x}", "/{x}/{y}", "/a/{x}/*", "/{x}/{y}/*", "/a/*"}},
		{"and comes after a suffix", "/a/b.png", []string{"/{x}/{y}", "/*.png", "/a/{x}/*"}},
		{"template with fewer parameters", "/a/b/c", []string{"/a/b/{x}", "/a/{x}/{y}", "/{x}/{y}/{z}"}},
		{"template that is literal longer", "/a/b", []string{"/a/{x}", "/{x}/b"}},
		{"literal suffix before a template", "/a/b.png", []string{"/a/*.png", "/{longer}/*.png", "/*.png"}},
		{"longer suffix pattern", "/a/b.tar.gz", []string{"/a/*.tar.gz", "/*.tar.gz", "/a/*.gz", "/*.gz", "/*"}},
		{"wildcard with more segments", "/a/b/c", []string{"/a/b/*", "/a/*", "/*"}},
		{"wildcards by segments, not bytes", "/aaaaaaaa/b/c", []string{"/aaaaaaaa/b/*", "/aaaaaaaa/*"}},
		{"absolute", "https://h/p/q", []string{"https://h/p/q", "https://h/p/{x}", "https://h/p/*", "https://h/*"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for i := range tt.patterns {
				rest := slices.Clone(tt.patterns[i:])
				if got := Best(tt.path, rest); !slices.Equal(got, []int{0}) {
					t.Errorf("Best(%q, %q) = %v, want the first", tt.path, rest, got)
				}
				slices.Reverse(rest)
				if got := Best(tt.path, rest); !slices.Equal(got, []int{len(rest) - 1}) {
					t.Errorf("Best(%q, %q) = %v, want the last", tt.path, rest, got)
				}
			}
		})
	}
	if got := Best("/a/b", []string{"/a/*", "/*", "/a/*", "/c"}); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("two of the best pattern: got %v, want [0 2]", got)
	}
	if got := Best("/a", []string{"/b", "/a/{x}"}); got != nil {
		t.Errorf("no match: got %v, want none", got)
	}
}

func genURI(heads, segments []string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		head := rapid.SampledFrom(heads).Draw(t, "head")
		parts := rapid.SliceOfN(rapid.SampledFrom(segments), 0, 5).Draw(t, "segments")
		return strings.Join(append([]string{head}, parts...), "/")
	})
}

// What a pattern matches is among the candidate keys, for patterns and paths of
// every kind: else a store would not find it.
func TestCandidateKeysFindEveryMatch(t *testing.T) {
	t.Parallel()
	heads := []string{"", "", "", "a", "https://h", "app:", "urn:x", "{x}"}
	literal := []string{"a", "b", "a", "b", "x.png", "x.tar.gz", ".gz", "a.", "", "{x}", "*", "*.gz", "{}"}
	patterns := genURI(heads, append([]string{"{x}", "{y}", "p{y}", "*", "*", "*.png", "*.gz", "*.tar.gz", "*."}, literal...))
	paths := genURI(heads, literal)
	var matches int
	rapid.Check(t, func(t *rapid.T) {
		path := paths.Draw(t, "path")
		candidates := rapid.SliceOfN(patterns, 1, 20).Draw(t, "patterns")
		var matching []string
		for _, p := range candidates {
			if !matchesURI(p, path) {
				continue
			}
			matches++
			matching = append(matching, p)
			key, shape := Key(p)
			if keys := CandidateKeys(path, []string{"t", shape}); !slices.Contains(keys, key) {
				t.Fatalf("%q matches %q, but its key %q is not among %q", p, path, key, keys)
			}
		}
		best := Best(path, candidates)
		if (len(best) > 0) != (len(matching) > 0) {
			t.Fatalf("Best(%q, %q) = %v, but %q match", path, candidates, best, matching)
		}
		for _, i := range best {
			if !slices.Contains(matching, candidates[i]) {
				t.Fatalf("best match %q does not match %q", candidates[i], path)
			}
		}
	})
	if matches == 0 {
		t.Error("no pattern matched any path: the property was not tested")
	}
}

// The best match does not depend on the order of the patterns.
func TestBestMatchesIgnoresOrder(t *testing.T) {
	t.Parallel()
	patterns := genURI([]string{""}, []string{"a", "b", "{x}", "{y}", "*", "*.png", "x.png"})
	paths := genURI([]string{""}, []string{"a", "b", "x.png"})
	rapid.Check(t, func(t *rapid.T) {
		path := paths.Draw(t, "path")
		one := rapid.SliceOfN(patterns, 1, 20).Draw(t, "patterns")
		other := rapid.Permutation(one).Draw(t, "permuted")
		got, want := pick(other, Best(path, other)), pick(one, Best(path, one))
		if !slices.Equal(got, want) {
			t.Fatalf("best for %q: %q, in another order %q", path, want, got)
		}
	})
}

func pick(from []string, indexes []int) []string {
	var picked []string
	for _, i := range indexes {
		picked = append(picked, from[i])
	}
	slices.Sort(picked)
	return picked
}

// FuzzNormalizeURI: a result is in normal form. Since normalising decodes, what was
// decoded has to be encoded again before the result can be put in once more.
func FuzzNormalizeURI(f *testing.F) {
	for _, seed := range []string{
		"", "/", "/a/../b", "/board/%2e%2e/admin/x", "/a%252e%252e/b", "/a//b/", "/a;x=1/b", "/..;/a", "/a?x=1#f", "/%", "/%2F", "/%00",
		"/%c0%ae", "https://h/p/%2e%2e/q", "https://h?x", "https://..", "urn:x:y", "urn:x/../y", "app:/p", "a:b", "./a:b", "a%3A//b",
		"//h/p", "x:////a", `/a\b`, "/a%3Bb%3F%23%25", "K:\u212a/\u0130",
	} {
		f.Add(seed)
	}
	encode := strings.NewReplacer("%", "%25", ";", "%3B", "?", "%3F", "#", "%23")
	f.Fuzz(func(t *testing.T, uri string) {
		got, err := Normalize(uri)
		if err != nil {
			if got != "" {
				t.Fatalf("Normalize(%q) = %q beside an error", uri, got)
			}
			return
		}
		for segment := range strings.SplitSeq(got, "/") {
			if segment == ".." || segment == "." {
				t.Fatalf("Normalize(%q) = %q has a dot segment", uri, got)
			}
		}
		if strings.ContainsAny(got, "\x00\r\n\\") {
			t.Fatalf("Normalize(%q) = %q has a character that no path may have", uri, got)
		}
		again := got
		if strings.HasPrefix(got, "/") {
			again = encode.Replace(got)
		} else if strings.ContainsAny(got, "%;?#") {
			return
		}
		if twice, err := Normalize(again); err != nil || twice != got {
			t.Fatalf("Normalize(%q) = %q, but that normalises to %q, %v", uri, got, twice, err)
		}
		if !matchesURI(got, got) || Fold(Fold(got)) != Fold(got) {
			t.Fatalf("Normalize(%q) = %q does not match itself, or folds twice", uri, got)
		}
	})
}
