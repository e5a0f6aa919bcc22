// Package pingam is the face of PingAM: its UMA endpoints, and the policies and
// pending requests of owners under /json.
package pingam

import "example.com/umpire/server/uma2"

// A Face holds the handlers. Those that it does not declare are those of the specifications.
type Face struct {
	uma2.Face
}
