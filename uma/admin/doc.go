// Package admin keeps realms: the snapshots that requests use, following changes, applying
// realm files, and keys.
package admin
