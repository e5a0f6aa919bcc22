// Package wso2 is the face of WSO2 Identity Server's UMA endpoints:
// resource registration and permission tickets as Federated Authorization has
// them, with WSO2's statuses and words.
package wso2

import "example.com/umpire/server/uma2"

// Face serves it. What it does not do itself is as in the specifications.
type Face struct {
	uma2.Face
}
