package pki

import (
	"bytes"
	"crypto/x509"
	"net"
	"testing"
)

func TestTheAuthorityStaysAndSigns(t *testing.T) {
	folder := t.TempDir()
	first, err := OpenAuthority(folder)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenAuthority(folder)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.PEM, again.PEM) {
		t.Fatal("a second start has another authority")
	}
	pair, err := again.Issue(Subject{User: "u", Groups: []string{"g"}, Names: []string{"localhost"},
		Addresses: []net.IP{net.ParseIP("127.0.0.1")}})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := parseCertificate(pair.Cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(first.PEM)
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if cert.Subject.CommonName != "u" || cert.Subject.Organization[0] != "g" {
		t.Errorf("subject %v", cert.Subject)
	}
}

func TestTheAccountsKeyStays(t *testing.T) {
	folder := t.TempDir()
	for range 2 {
		if err := OpenKey(folder, "accounts"); err != nil {
			t.Fatal(err)
		}
	}
}
