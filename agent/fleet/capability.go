package fleet

import "encoding/json"

// Capability is retained at cap/<verb>: what may be ordered of a box.
type Capability struct {
	Verb     string          `json:"verb"`
	Role     string          `json:"role"`     // of the key that signs
	Disturbs bool            `json:"disturbs"` // waits until no order is open and every till is idle
	Schema   json.RawMessage `json:"schema"`   // JSON schema of the arguments
}

// Data is one piece of a large result, at cmd/<verb>/<id>/data/<n>, n from 0,
// never retained. The pieces' bytes one after the other are the result; the
// result in the command's state says what they are (Pieces).
type Data struct {
	ID     string `json:"cmd_id"`
	N      int    `json:"n"`
	Of     int    `json:"of"`
	SHA256 string `json:"sha256"` // of all the bytes together, in hexadecimal digits
	Bytes  []byte `json:"bytes"`  // base64
}

// Pieces is the result in the state of a command whose result was sent in
// pieces.
type Pieces struct {
	Pieces int    `json:"pieces"`
	Format string `json:"format"` // gzip (of lines of text) or zip
	Bytes  int    `json:"bytes"`  // of all pieces together
	SHA256 string `json:"sha256"`
	Lines  int    `json:"lines,omitempty"` // of a log
	Cut    bool   `json:"cut,omitempty"`   // there was more than was sent
}
