package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func portOf(t *testing.T, server *httptest.Server) int {
	t.Helper()
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

func health(status byte) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, status})
		w.Header().Set("Grpc-Status", "0")
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	return server
}

func TestOneAttempt(t *testing.T) {
	web := portOf(t, httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/sick":
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/away":
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
		case r.URL.Path == "/asked" && (r.Host != "shop" || r.URL.RawQuery != "a=b"):
			w.WriteHeader(http.StatusBadRequest)
		}
	})))
	closed := httptest.NewServer(nil)
	nobody := portOf(t, closed)
	closed.Close()
	execute := func(_ context.Context, argv []string) error {
		if argv[0] == "false" {
			return errors.New("ended with 1")
		}
		return nil
	}
	for _, c := range []struct {
		text string
		well bool
	}{
		{fmt.Sprintf(`{"httpGet":{"port":%d}}`, web), true},
		{fmt.Sprintf(`{"httpGet":{"port":"%d","path":"/asked?a=b","httpHeaders":[{"name":"host","value":"shop"}]}}`, web), true},
		{fmt.Sprintf(`{"httpGet":{"port":%d,"path":"/away"}}`, web), true},
		{fmt.Sprintf(`{"httpGet":{"port":%d,"path":"/sick"}}`, web), false},
		{fmt.Sprintf(`{"tcpSocket":{"port":%d}}`, web), true},
		{fmt.Sprintf(`{"tcpSocket":{"port":%d}}`, nobody), false},
		{fmt.Sprintf(`{"grpc":{"port":%d}}`, portOf(t, health(1))), true},
		{fmt.Sprintf(`{"grpc":{"port":%d,"service":"shop"}}`, portOf(t, health(2))), false},
		{`{"exec":{"command":["true"]}}`, true},
		{`{"exec":{"command":["false"]}}`, false},
		{`{}`, false},
	} {
		spec, err := Parse([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if err := Run(context.Background(), "127.0.0.1", spec, execute); (err == nil) != c.well {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

func TestHeadersAreTheProbesOwnOrKubelets(t *testing.T) {
	var got http.Header
	web := portOf(t, httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header })))
	for _, c := range []struct{ headers, agent, accept string }{
		{`[]`, "[kube-probe/devcluster]", "[*/*]"},
		{`[{"name":"user-agent","value":"shop"},{"name":"Accept","value":"text/plain"}]`, "[shop]", "[text/plain]"},
		{`[{"name":"User-Agent","value":""},{"name":"Accept","value":""}]`, "[]", "[]"},
	} {
		spec, err := Parse(fmt.Appendf(nil, `{"httpGet":{"port":%d,"httpHeaders":%s}}`, web, c.headers))
		if err != nil {
			t.Fatal(err)
		}
		if err := Run(context.Background(), "127.0.0.1", spec, nil); err != nil {
			t.Fatal(err)
		}
		if agent, accept := fmt.Sprint(got["User-Agent"]), fmt.Sprint(got["Accept"]); agent != c.agent || accept != c.accept {
			t.Errorf("%s: User-Agent %s, Accept %s", c.headers, agent, accept)
		}
	}
}

func TestDefaultsAreKubernetes(t *testing.T) {
	spec, err := Parse([]byte(`{"exec":{"command":["true"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if spec.PeriodSeconds != 10 || spec.TimeoutSeconds != 1 || spec.SuccessThreshold != 1 || spec.FailureThreshold != 3 {
		t.Errorf("%+v", spec)
	}
}

func TestThresholds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	attempts, told := 0, ""
	spec, err := Parse([]byte(`{"exec":{"command":["x"]},"periodSeconds":1,"failureThreshold":2}`))
	if err != nil {
		t.Fatal(err)
	}
	Watch(ctx, "", spec, time.Now(), func(context.Context, []string) error {
		attempts++
		if attempts > 1 {
			return errors.New("sick")
		}
		return nil
	}, func(well bool, _ error) {
		told += fmt.Sprintf("%v after %d;", well, attempts)
		if !well {
			cancel()
		}
	})
	if told != "true after 1;false after 3;" {
		t.Error(told)
	}
}
