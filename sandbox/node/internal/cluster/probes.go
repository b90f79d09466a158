package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// began is when this start of the node began: what the API server says of before does not count.
var began = time.Now()

// ask is a probe: the address answers 200.  Its certificate is of this minute and on the loopback device.
func ask(url string) func(context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	return func(ctx context.Context) error {
		_, err := get(ctx, client, url)
		return err
	}
}

// ask is a probe of the API server, as administrator.
func (c Cluster) ask(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		_, err = get(ctx, client, apiServer+path)
		return err
	}
}

func dial(socket string) func(context.Context) error {
	return func(context.Context) error {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return send(client, request)
}

func send(client *http.Client, request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %.300s", request.Method, request.URL.Path, response.Status, body)
	}
	return body, err
}

// client speaks to the API server as administrator.
func (c Cluster) client() (*http.Client, error) {
	pair, err := tls.LoadX509KeyPair(c.run("admin.crt"), c.run("admin.key"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(c.volume("pki/ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool},
		DisableKeepAlives: true,
	}}, nil
}

// awaitNode: ready, and said so by the kubelet that runs now.
func (c Cluster) awaitNode(ctx context.Context) error {
	var node struct {
		Status struct {
			Conditions []struct {
				Type, Status, Message string
				LastHeartbeatTime     time.Time
			}
		}
	}
	if err := c.read(ctx, "/api/v1/nodes/"+nodeName, &node); err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != "Ready" {
			continue
		}
		if condition.Status == "True" && !condition.LastHeartbeatTime.Before(began.Truncate(time.Second)) {
			return nil
		}
		return fmt.Errorf("the node is not ready: %s", condition.Message)
	}
	return fmt.Errorf("the node has not said how it is")
}

// awaitAccount: without it the first pod of a namespace is refused.
func (c Cluster) awaitAccount(ctx context.Context) error {
	return c.read(ctx, "/api/v1/namespaces/default/serviceaccounts/default", &struct{}{})
}

// awaitDNS asks CoreDNS through its Service, which proves scheduler, pod network and kube-proxy as well.
func awaitDNS(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", dnsAddress+":53")
	}}
	found, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	if err == nil && (len(found) != 1 || found[0] != apiService) {
		err = fmt.Errorf("DNS says that the API server is at %v", found)
	}
	return err
}

func (c Cluster) read(ctx context.Context, path string, into any) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	body, err := get(ctx, client, apiServer+path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
