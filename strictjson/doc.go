// Package strictjson steps through JSON and refuses text that two programs may read
// differently: a name that is twice in an object, half a surrogate pair. Limits, and
// what the values mean, are the caller's part.
package strictjson
