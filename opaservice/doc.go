// Package opaservice talks to the services that OPA's configuration names: it reads `policy.opa`
// of a realm file, makes OPA's REST clients of it, and downloads bundles.
//
// Each use makes a client of its own with Config.Client. OPA's client keeps the token of OAuth2
// without a lock, so that two goroutines must not share one. Its WithHeader writes to a map that
// all copies share, once there is one: begin each request with the client that Client returned,
// which has no headers, so that the map is that of the request alone:
//
//	client, err := config.Client(config.DecisionLogs.Service)
//	...
//	request := client.WithHeader("Content-Type", "application/json").WithHeader("Content-Encoding", "gzip").WithBytes(body)
//	answer, err := request.Do(ctx, http.MethodPost, config.DecisionLogs.Resource)
//	if err != nil {
//		return config.Describe(config.DecisionLogs.Service, err) // OPA's errors may have secrets
//	}
//
// Do has no deadline for the body of an answer: ctx needs one. It does not close or limit the
// body either.
package opaservice
