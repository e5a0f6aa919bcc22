package rows

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Fold returns a name in the form in which names are compared without case.
func Fold(s string) string { return strings.ToLower(s) }

// LowerASCII returns a text with the letters A to Z in lower case, the form in which e-mail
// addresses are compared.
func LowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// IsPart reports whether a string is long enough for an index of trigrams.
func IsPart(s string) bool { return utf8.RuneCountInString(s) >= 3 }

// Millis is a time as it is stored: unix milliseconds, 0 for the zero time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time is the time of Millis, in UTC.
func Time(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// PageIn returns a page of a list: at most max values after the first ones. A negative max is no
// limit.
func PageIn[T any](list []T, first, max int) []T {
	list = list[min(first, len(list)):]
	if max < 0 {
		return list
	}
	return list[:min(max, len(list))]
}

// InTurn takes n values from groups, one of each in turn.
func InTurn[T any](groups [][]T, n int) (values []T) {
	for turn := 0; ; turn++ {
		more := false
		for _, group := range groups {
			if turn < len(group) && len(values) < n {
				values, more = append(values, group[turn]), true
			}
		}
		if !more {
			return values
		}
	}
}
