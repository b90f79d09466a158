package pki

import (
	"encoding/base64"
	"fmt"
)

// Kubeconfig renders a kubeconfig with one context.  It holds a private key: it is a secret.
func Kubeconfig(context, server string, authority *Authority, pair Pair) []byte {
	text := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: %[1]s
contexts:
- name: %[1]s
  context: {cluster: %[1]s, user: %[1]s}
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
users:
- name: %[1]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`, context, server, text(authority.PEM), text(pair.Cert), text(pair.Key))
}
