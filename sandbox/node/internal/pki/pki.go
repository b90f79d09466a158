// Package pki issues the certificates of a sandbox.
//
// The authority lives in the sandbox's volume and never changes, so that a kubeconfig handed out once stays
// right.  Everything it signs is made anew at each start: addresses may have changed, and nothing needs to
// be renewed.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const lifetime = 10 * 365 * 24 * time.Hour

// Authority signs for one sandbox; PEM is its certificate.
type Authority struct {
	PEM  []byte
	cert *x509.Certificate
	key  crypto.Signer
}

// Subject is whom a certificate names.  Groups are Kubernetes' groups; Names and Addresses are what a
// server may be called.
type Subject struct {
	User      string
	Groups    []string
	Names     []string
	Addresses []net.IP
}

// Pair is a certificate and its key, both in PEM.
type Pair struct{ Cert, Key []byte }

// OpenAuthority reads ca.crt and ca.key in folder, and makes them where they are not there yet.
func OpenAuthority(folder string) (*Authority, error) {
	pair, err := readPair(filepath.Join(folder, "ca"))
	if errors.Is(err, os.ErrNotExist) {
		if pair, err = newAuthority(); err == nil {
			err = pair.Write(filepath.Join(folder, "ca"))
		}
	}
	if err != nil {
		return nil, err
	}
	cert, err := parseCertificate(pair.Cert)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(pair.Key)
	if err != nil {
		return nil, err
	}
	return &Authority{PEM: pair.Cert, cert: cert, key: key}, nil
}

// OpenKey reads the key pair NAME.key and NAME.pub in folder (the service accounts' signer), or makes it.
func OpenKey(folder, name string) error {
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path + ".key"); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".pub", encode("PUBLIC KEY", public), 0o644); err != nil {
		return err
	}
	private, err := marshalKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path+".key", private, 0o600)
}

// Issue signs a certificate that serves and asks in the name of subject.
func (a *Authority) Issue(subject Subject) (Pair, error) {
	template, err := template(subject.User)
	if err != nil {
		return Pair{}, err
	}
	template.Subject.Organization = subject.Groups
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames = subject.Names
	template.IPAddresses = subject.Addresses
	return sign(template, a.cert, a.key)
}

// Write puts the pair into PATH.crt and PATH.key (readable by root alone).
func (p Pair) Write(path string) error {
	if err := os.WriteFile(path+".key", p.Key, 0o600); err != nil {
		return err
	}
	return os.WriteFile(path+".crt", p.Cert, 0o644)
}

func newAuthority() (Pair, error) {
	template, err := template("devcluster-sandbox")
	if err != nil {
		return Pair{}, err
	}
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	return sign(template, nil, nil)
}

func template(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour), // clocks of a laptop and its virtual machine differ
		NotAfter:              now.Add(lifetime),
		BasicConstraintsValid: true,
	}, nil
}

// sign makes a key and signs its certificate; without a parent it signs itself.
func sign(template, parent *x509.Certificate, signer crypto.Signer) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	private, err := marshalKey(key)
	return Pair{Cert: encode("CERTIFICATE", der), Key: private}, err
}

func readPair(path string) (Pair, error) {
	cert, err := os.ReadFile(path + ".crt")
	if err != nil {
		return Pair{}, err
	}
	key, err := os.ReadFile(path + ".key")
	return Pair{Cert: cert, Key: key}, err
}

func parseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("certificate: not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("key: not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key: a %T cannot sign", key)
	}
	return signer, nil
}

func marshalKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return encode("PRIVATE KEY", der), err
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
