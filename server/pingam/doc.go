// Package pingam is the face of PingAM: its UMA endpoints, and the policies and
// pending requests of owners under /json.
package pingam

import "example.com/umpire/uma"

// Face serves it.
type Face struct {
	Authority *uma.Authority
}
