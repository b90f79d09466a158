package lane

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func line(t *testing.T, key any) []byte {
	t.Helper()
	public, err := ssh.NewPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return ssh.MarshalAuthorizedKey(public)
}

func TestKeysAreRead(t *testing.T) {
	k := newKeys(t)
	private, err := ParsePrivate(pkcs8(t, k.agent))
	if err != nil || !private.Equal(k.agent) {
		t.Errorf("private: %v", err)
	}
	for _, text := range [][]byte{line(t, k.agentPub), append(bytes.TrimSpace(line(t, k.agentPub)), " a comment\n"...)} {
		public, err := ParsePublic(text)
		if err != nil || !public.Equal(k.agentPub) {
			t.Errorf("public: %v", err)
		}
	}
}

func TestOtherKeysAreRefusedWithoutAWordOfThem(t *testing.T) {
	k := newKeys(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := string(line(t, k.agentPub))
	for name, text := range map[string]string{
		"empty": "", "another kind": string(line(t, &other.PublicKey)), "no base64": "ssh-ed25519 !!!", "cut": good[:40],
		"longer": "ssh-ed25519 " + strings.Fields(good)[1] + "AAAA", "huge length": "ssh-ed25519 /////w==",
	} {
		if _, err := ParsePublic([]byte(text)); err == nil {
			t.Errorf("public, %s: taken", name)
		}
	}
	secret := pkcs8(t, k.agent)
	for name, text := range map[string][]byte{
		"empty": nil, "no PEM": []byte("secret"), "another kind": pkcs8(t, other),
		"cut": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret[:20]}),
	} {
		_, err := ParsePrivate(text)
		if err == nil || (len(text) > 10 && strings.Contains(err.Error(), string(text))) {
			t.Errorf("private, %s: %v", name, err)
		}
	}
	if _, err := tlsConfig(ed25519.PrivateKey("short"), k.agentPub); err == nil {
		t.Error("a short key was taken")
	}
}
