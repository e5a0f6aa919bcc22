// Package grant is the UMA grant (Grant §3.3): what is asked, what the policy decides, and
// what is answered, settled in one commit. Start with grant.go, which has the phases in
// their order. described.go asks the policy about a request that nobody made.
package grant
