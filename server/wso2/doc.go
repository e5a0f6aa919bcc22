// Package wso2 is the face of WSO2 Identity Server's UMA endpoints.
package wso2

import "example.com/umpire/uma"

// Face serves it.
type Face struct {
	Authority *uma.Authority
}
