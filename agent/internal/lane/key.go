package lane

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"time"
)

const sshEd25519 = "ssh-ed25519"

// ParsePrivate reads an Ed25519 private key as PKCS#8 PEM.
func ParsePrivate(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("private key: not PKCS#8 PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("private key: not PKCS#8") // its own text may quote the key
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("private key: not Ed25519")
	}
	return key, nil
}

// ParsePublic reads an Ed25519 public key as OpenSSH's one line.
func ParsePublic(line []byte) (ed25519.PublicKey, error) {
	fields := bytes.Fields(line)
	if len(fields) < 2 || string(fields[0]) != sshEd25519 {
		return nil, errors.New("public key: expected a line that begins with ssh-ed25519")
	}
	blob, err := base64.StdEncoding.DecodeString(string(fields[1]))
	if err != nil {
		return nil, errors.New("public key: not base64")
	}
	kind, rest, ok := sshString(blob)
	if !ok || string(kind) != sshEd25519 {
		return nil, errors.New("public key: not Ed25519")
	}
	key, rest, ok := sshString(rest)
	if !ok || len(rest) != 0 || len(key) != ed25519.PublicKeySize {
		return nil, errors.New("public key: not Ed25519")
	}
	return ed25519.PublicKey(key), nil
}

func sshString(blob []byte) (value, rest []byte, ok bool) {
	if len(blob) < 4 {
		return nil, nil, false
	}
	size := binary.BigEndian.Uint32(blob)
	if uint64(size) > uint64(len(blob)-4) {
		return nil, nil, false
	}
	return blob[4 : 4+size], blob[4+size:], true
}

// tlsConfig shows key in a certificate that nobody signed, and takes a peer
// for proven when it shows pinned: TLS itself proves that the peer holds it.
func tlsConfig(key ed25519.PrivateKey, pinned ed25519.PublicKey) (*tls.Config, error) {
	if len(key) != ed25519.PrivateKeySize || len(pinned) != ed25519.PublicKeySize {
		return nil, errShortKey
	}
	certificate, err := selfSigned(key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates:                []tls.Certificate{certificate},
		MinVersion:                  tls.VersionTLS13,
		NextProtos:                  []string{ALPN},
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
		VerifyConnection:            func(state tls.ConnectionState) error { return verify(state, pinned) },
	}, nil
}

func verify(state tls.ConnectionState, pinned ed25519.PublicKey) error {
	if state.NegotiatedProtocol != ALPN {
		return errors.New("the other side does not speak " + ALPN)
	}
	if len(state.PeerCertificates) != 1 {
		return errors.New("expected one certificate")
	}
	shown, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || subtle.ConstantTimeCompare(shown, pinned) != 1 {
		return errors.New("the other side has a different key than the one pinned")
	}
	return nil
}

func selfSigned(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "devcluster"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280: no end
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
