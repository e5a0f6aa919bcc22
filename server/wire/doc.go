// Package wire is what the faces of the server share of HTTP: reading forms,
// JSON and credentials, and writing answers and refusals with the headers that
// every answer has. It knows neither endpoints nor the words of a face, and
// decides nothing.
package wire
