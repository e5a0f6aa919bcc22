// Package wso2 is the face of WSO2 Identity Server's UMA endpoints:
// resource registration and permission tickets as Federated Authorization has
// them, with WSO2's statuses and words.
package wso2

import "example.com/umpire/server/uma2"

// A Face holds the handlers. Those that it does not declare are those of the specifications.
type Face struct {
	uma2.Face
}
