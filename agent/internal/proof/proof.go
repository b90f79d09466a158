// Package proof shows that a connection through a Service ends where it should,
// without knowing what the application speaks.
//
// One agent opens a connection to the Service and says a nonce with a MAC as
// its first bytes; the agent behind the Service recognises it and answers on
// the same connection which way it would have led it. The source address would
// not do: who reaches himself through a Service comes from the node's address.
//
// Rules:
//   - agents look only while they were asked to, for at most a minute, with the
//     key of that one asking; a nonce counts once;
//   - an ordinary connection is opened, carried and ended as ever: nothing waits
//     for its first bytes, and whatever they are they pass on unchanged;
//   - the application sees of a proof a connection that ends without a byte, as
//     from a TCP probe. A nonce without the key is bytes like all others.
package proof

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"
)

// KeySize is that of the key of one asking.
const KeySize = 32

const (
	nonceSize   = 16
	messageSize = len(magic) + nonceSize + sha256.Size
	magic       = "\x00\xffdevcluster\x00\x01\r\n"
	mostKeys    = 8
	mostNonces  = 4096
	longest     = time.Minute
)

// Answer is what the agent behind the Service says: who it is, and how the
// connection went on from there. Errno is empty where somebody accepted it.
type Answer struct {
	Address string `json:"address"` // the pod's
	Port    int    `json:"port"`    // the application's, which the caller meant
	Route   string `json:"route"`   // child, laptop, queue
	Errno   string `json:"errno,omitempty"`
	Text    string `json:"text,omitempty"`
}

// Guests are the proofs that are expected at the moment.
type Guests struct {
	mu   sync.Mutex
	keys []*expected
}

type expected struct {
	key    []byte
	until  time.Time
	nonces map[[nonceSize]byte]struct{}
}

// Expect makes this agent look for proofs with key, for so long; 0 or less ends
// it.
func (g *Guests) Expect(key []byte, span time.Duration) error {
	if len(key) != KeySize {
		return errors.New("the key of a proof has 32 bytes")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.keys = slices.DeleteFunc(g.keys, func(e *expected) bool { return now.After(e.until) || bytes.Equal(e.key, key) })
	if span <= 0 {
		return nil
	}
	if len(g.keys) >= mostKeys {
		return errors.New("too many proofs at a time")
	}
	until := now.Add(min(span, longest))
	g.keys = append(g.keys, &expected{bytes.Clone(key), until, map[[nonceSize]byte]struct{}{}})
	return nil
}

// any is whether somebody is expected.
func (g *Guests) any() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	return slices.ContainsFunc(g.keys, func(e *expected) bool { return now.Before(e.until) })
}

// admit tells the key and the nonce of a message that is expected, once.
func (g *Guests) admit(message []byte) (key, nonce []byte, ok bool) {
	nonce = message[len(magic) : len(magic)+nonceSize]
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for _, e := range g.keys {
		if now.After(e.until) || !hmac.Equal(message[len(magic)+nonceSize:], sum(e.key, "ask", nonce)) {
			continue
		}
		if _, used := e.nonces[[nonceSize]byte(nonce)]; used || len(e.nonces) >= mostNonces {
			return nil, nil, false
		}
		e.nonces[[nonceSize]byte(nonce)] = struct{}{}
		return e.key, bytes.Clone(nonce), true
	}
	return nil, nil, false
}

// question makes the first bytes of a proof.
func question(key []byte) (message, nonce []byte) {
	nonce = make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	message = append([]byte(magic), nonce...)
	return append(message, sum(key, "ask", nonce)...), nonce
}

// frame is an answer on the wire: a mark that only the key's owners can tell
// from other bytes, a length, JSON, a MAC.
func frame(key, nonce []byte, answer Answer) []byte {
	text, err := json.Marshal(answer)
	if err != nil || len(text) > 1<<15 {
		return nil
	}
	out := sum(key, "mark", nonce)
	out = binary.BigEndian.AppendUint16(out, uint16(len(text)))
	out = append(out, text...)
	return append(out, sum(key, "answer", nonce, text)...)
}

// find looks for an answer in what came, behind whatever a server said first.
func find(key, nonce, received []byte) (Answer, bool) {
	var answer Answer
	_, rest, found := bytes.Cut(received, sum(key, "mark", nonce))
	if !found || len(rest) < 2 {
		return answer, false
	}
	size := int(binary.BigEndian.Uint16(rest))
	if rest = rest[2:]; len(rest) < size+sha256.Size {
		return answer, false
	}
	text, mac := rest[:size], rest[size:size+sha256.Size]
	if !hmac.Equal(mac, sum(key, "answer", nonce, text)) || json.Unmarshal(text, &answer) != nil {
		return answer, false
	}
	return answer, true
}

func sum(key []byte, purpose string, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("devcluster proof " + purpose + "\x00"))
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}
