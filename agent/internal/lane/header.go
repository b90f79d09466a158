package lane

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxHeader bounds a header or an answer; the longest that is meant is below
// 300 bytes.
const maxHeader = 4 << 10

// Header is what the opener of a stream says first.
type Header struct {
	// Net is hello, tcp, udp or dns.
	Net string `json:"net"`
	// To is the address that is wanted, host:port.
	To string `json:"to,omitempty"`
	// From is the true caller of an inbound connection, host:port.
	From string `json:"from,omitempty"`
	// Epoch belongs to hello.
	Epoch int64 `json:"epoch,omitempty"`
}

// answer is what the other side says to a header.
type answer struct {
	OK    bool   `json:"ok,omitempty"`
	Errno string `json:"errno,omitempty"`
	Text  string `json:"text,omitempty"`
	Again bool   `json:"again,omitempty"`
}

func encode(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if len(text) > maxHeader {
		return nil, fmt.Errorf("stream header of %d bytes, at most %d", len(text), maxHeader)
	}
	frame := make([]byte, 2, 2+len(text))
	binary.BigEndian.PutUint16(frame, uint16(len(text)))
	return append(frame, text...), nil
}

func decode(r io.Reader, value any) error {
	var prefix [2]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return err
	}
	size := int(binary.BigEndian.Uint16(prefix[:]))
	if size == 0 || size > maxHeader {
		return fmt.Errorf("stream header of %d bytes, at most %d", size, maxHeader)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		return errors.New("stream header is not JSON")
	}
	return nil
}
