// Package probe asks an application whether it is well, as kubelet would.
//
// The agent has taken the probes' place in the pod: kubelet asks the agent, and
// the agent runs the original probes while the application runs. The gateway
// runs them against the local container.
//
// Source: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/#probe-v1-core
package probe

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Port is a port's number; named ports were resolved before.
type Port int

// UnmarshalJSON takes 8080 and "8080".
func (p *Port) UnmarshalJSON(text []byte) error {
	if len(text) > 1 && text[0] == '"' {
		text = text[1 : len(text)-1]
	}
	number, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return fmt.Errorf("port %s is not a number", text)
	}
	*p = Port(number)
	return nil
}

// Action is what a probe or a lifecycle hook does; one of its fields is set.
type Action struct {
	Exec *struct {
		Command []string `json:"command"`
	} `json:"exec,omitempty"`
	HTTPGet   *HTTPGet `json:"httpGet,omitempty"`
	TCPSocket *struct {
		Host string `json:"host"`
		Port Port   `json:"port"`
	} `json:"tcpSocket,omitempty"`
	GRPC *struct {
		Port    Port   `json:"port"`
		Service string `json:"service"`
	} `json:"grpc,omitempty"`
	Sleep *struct {
		Seconds int64 `json:"seconds"`
	} `json:"sleep,omitempty"`
}

// HTTPGet is v1.HTTPGetAction.
type HTTPGet struct {
	Path        string `json:"path"`
	Port        Port   `json:"port"`
	Host        string `json:"host"`
	Scheme      string `json:"scheme"`
	HTTPHeaders []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"httpHeaders"`
}

// Spec is v1.Probe.
type Spec struct {
	Action
	InitialDelaySeconds int `json:"initialDelaySeconds"`
	TimeoutSeconds      int `json:"timeoutSeconds"`
	PeriodSeconds       int `json:"periodSeconds"`
	SuccessThreshold    int `json:"successThreshold"`
	FailureThreshold    int `json:"failureThreshold"`
	// TerminationGracePeriodSeconds is for who is ended by this probe; nil: the pod's.
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds"`
}

// Parse reads a v1.Probe and fills in Kubernetes' defaults.
func Parse(text []byte) (Spec, error) {
	var spec Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		return spec, fmt.Errorf("probe: %w", err)
	}
	spec.TimeoutSeconds = max(spec.TimeoutSeconds, 1)
	if spec.PeriodSeconds <= 0 {
		spec.PeriodSeconds = 10
	}
	spec.SuccessThreshold = max(spec.SuccessThreshold, 1)
	if spec.FailureThreshold <= 0 {
		spec.FailureThreshold = 3
	}
	return spec, nil
}

// Exec runs a command in the application's container; nil means that it ended
// with 0.
type Exec func(ctx context.Context, argv []string) error

// ErrNoExec is the answer where commands can't be run.
var ErrNoExec = errors.New("a command can't be run from here")

// ErrNotMade is an attempt that could not even be made, say for want of the
// command: kubelet throws such away, and neither do they count here.
var ErrNotMade = errors.New("the probe could not be made")

// StatusError is an HTTP answer that is no success.
type StatusError int

func (e StatusError) Error() string { return fmt.Sprintf("HTTP status %d", int(e)) }

// Hook does what a lifecycle hook says. Of an HTTP hook kubelet wants an
// answer, whatever it says.
func Hook(ctx context.Context, address string, action Action, execute Exec) error {
	err := Act(ctx, address, action, execute)
	var status StatusError
	if errors.As(err, &status) {
		return nil
	}
	return err
}

// Run makes one attempt, bounded by the probe's time-out. address is the pod's.
// A nil error is success.
func Run(ctx context.Context, address string, spec Spec, execute Exec) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(spec.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	return Act(ctx, address, spec.Action, execute)
}

// Act does what action says, until ctx ends.
func Act(ctx context.Context, address string, action Action, execute Exec) error {
	switch {
	case action.Exec != nil:
		if execute == nil {
			return ErrNoExec
		}
		return execute(ctx, action.Exec.Command)
	case action.HTTPGet != nil:
		return get(ctx, address, action.HTTPGet)
	case action.TCPSocket != nil:
		return connect(ctx, orElse(action.TCPSocket.Host, address), action.TCPSocket.Port)
	case action.GRPC != nil:
		return checkGRPC(ctx, address, action.GRPC.Port, action.GRPC.Service)
	case action.Sleep != nil:
		return sleep(ctx, time.Duration(action.Sleep.Seconds)*time.Second)
	}
	return errors.New("the probe says nothing to do")
}

func get(ctx context.Context, address string, action *HTTPGet) error {
	target := url.URL{Scheme: "http", Host: join(orElse(action.Host, address), action.Port)}
	if action.Scheme == "HTTPS" {
		target.Scheme = "https"
	}
	path, err := url.Parse(orElse(action.Path, "/"))
	if err != nil {
		return fmt.Errorf("path %q: %w", action.Path, err)
	}
	target.Path, target.RawPath, target.RawQuery = path.Path, path.RawPath, path.RawQuery
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	setHeaders(request, action)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 10<<10))
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return StatusError(response.StatusCode)
	}
	return nil
}

// setHeaders gives the probe's own headers, and kubelet's for those it does
// not name. One that is named with nothing is not sent.
func setHeaders(request *http.Request, action *HTTPGet) {
	for _, header := range action.HTTPHeaders {
		if http.CanonicalHeaderKey(header.Name) == "Host" {
			request.Host = header.Value
			continue
		}
		request.Header.Add(header.Name, header.Value)
	}
	if request.Header.Values("User-Agent") == nil {
		request.Header.Set("User-Agent", "kube-probe/devcluster")
	}
	if request.Header.Values("Accept") == nil {
		request.Header.Set("Accept", "*/*")
	} else if request.Header.Get("Accept") == "" {
		request.Header.Del("Accept")
	}
}

// client does as kubelet's: a fresh connection each time, any certificate, and
// a redirect to another host is a success of its own.
var client = &http.Client{
	Transport: &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as kubelet does
	},
	CheckRedirect: func(request *http.Request, via []*http.Request) error {
		switch {
		case request.URL.Hostname() != via[0].URL.Hostname():
			return http.ErrUseLastResponse
		case len(via) >= 10:
			return errors.New("stopped after 10 redirects")
		}
		return nil
	},
}

func connect(ctx context.Context, host string, port Port) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", join(host, port))
	if err != nil {
		return err
	}
	return conn.Close()
}

func sleep(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func join(host string, port Port) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
