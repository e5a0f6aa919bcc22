// Package pingam is the face of PingAM: its UMA endpoints, and the policies and
// pending requests of owners under /json.
package pingam

import "example.com/umpire/server/uma2"

// Face serves it. What it does not do itself is as in the specifications.
type Face struct {
	uma2.Face
}
