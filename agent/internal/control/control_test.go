package control

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"devcluster/agent/internal/hold"
)

// keeper holds by epoch alone, and stops when it is let.
type keeper struct {
	hold.Keeper
	mu      sync.Mutex
	state   hold.State
	changed chan struct{}
	stopped chan struct{}
}

func newKeeper() *keeper {
	return &keeper{changed: make(chan struct{}, 1), stopped: make(chan struct{})}
}

func (k *keeper) Hello() hold.Hello                           { return hold.Hello{Protocol: 1} }
func (k *keeper) Inspect(context.Context) (hold.Facts, error) { return hold.Facts{Cwd: "/app"}, nil }
func (k *keeper) Watch(context.Context) <-chan struct{}       { return k.changed }
func (k *keeper) Beat(context.Context, int64) (hold.State, error) {
	return hold.State{}, errors.New("something else")
}

func (k *keeper) State() hold.State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

func (k *keeper) Hold(_ context.Context, claim hold.Claim) (hold.State, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if claim.Epoch < k.state.Epoch {
		return hold.State{}, &hold.Error{Kind: hold.StaleEpoch, Text: "older", Holder: k.state.Holder}
	}
	k.state.Epoch, k.state.Holder = claim.Epoch, &claim.Holder
	return k.state, nil
}

func (k *keeper) Stop(ctx context.Context, _ int64) (hold.State, error) {
	select {
	case <-k.stopped:
		return k.State(), nil
	case <-ctx.Done():
		return hold.State{}, ctx.Err()
	}
}

type served struct {
	address string
	keeper  *keeper
	laptop  ssh.Signer
	agent   ssh.PublicKey
}

func serve(t *testing.T, mounts ...string) served {
	t.Helper()
	_, agent, _ := ed25519.GenerateKey(nil)
	laptopPub, laptop, _ := ed25519.GenerateKey(nil)
	k := newKeeper()
	var found []hold.Mount
	var writable []string
	for _, path := range mounts {
		name, writes := strings.CutPrefix(path, "write:")
		found = append(found, hold.Mount{Path: name})
		if writes {
			writable = append(writable, name)
		}
	}
	server, err := New(agent, laptopPub, k, func() ([]hold.Mount, error) { return found, nil }, writable)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go server.Serve(t.Context(), conn, func() {})
		}
	}()
	signer, _ := ssh.NewSignerFromSigner(laptop)
	public, _ := ssh.NewPublicKey(agent.Public())
	return served{listener.Addr().String(), k, signer, public}
}

func (s served) dial(t *testing.T) *ssh.Client {
	t.Helper()
	client, err := ssh.Dial("tcp", s.address, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(s.laptop)}, HostKeyCallback: ssh.FixedHostKey(s.agent), Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestOnlyTheLaptopsKeyEnters(t *testing.T) {
	s := serve(t)
	_, other, _ := ed25519.GenerateKey(nil)
	stranger, _ := ssh.NewSignerFromSigner(other)
	tests := map[string]ssh.ClientConfig{
		"another key":  {User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(stranger)}},
		"another user": {User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(s.laptop)}},
		"a password":   {User: user, Auth: []ssh.AuthMethod{ssh.Password("devcluster")}},
		"nothing":      {User: user},
	}
	for name, config := range tests {
		t.Run(name, func(t *testing.T) {
			config.HostKeyCallback = ssh.FixedHostKey(s.agent)
			if _, err := ssh.Dial("tcp", s.address, &config); err == nil {
				t.Error("let in")
			}
		})
	}
}

func TestNothingButSubsystems(t *testing.T) {
	client := serve(t).dial(t)
	for _, ask := range []func(*ssh.Session) error{
		func(s *ssh.Session) error { return s.Run("id") },
		func(s *ssh.Session) error { return s.Shell() },
		func(s *ssh.Session) error { return s.RequestPty("xterm", 25, 80, nil) },
		func(s *ssh.Session) error { return s.RequestSubsystem("netconf") },
		func(s *ssh.Session) error { return s.Setenv("LD_PRELOAD", "x") },
	} {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(session); err == nil {
			t.Error("was granted")
		}
		_ = session.Close()
	}
	if _, err := client.Dial("tcp", "127.0.0.1:1"); err == nil {
		t.Error("a forwarding was granted")
	}
	if _, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("a listener was granted")
	}
}

// conversation is the subsystem control, seen from the laptop.
type conversation struct {
	io.WriteCloser
	lines *bufio.Scanner
}

func (s served) control(t *testing.T) conversation {
	t.Helper()
	session, err := s.dial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := session.StdinPipe()
	out, _ := session.StdoutPipe()
	if err := session.RequestSubsystem("control"); err != nil {
		t.Fatal(err)
	}
	return conversation{in, bufio.NewScanner(out)}
}

func (c conversation) ask(t *testing.T, line string) string {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
	return c.next(t)
}

func (c conversation) next(t *testing.T) string {
	t.Helper()
	if !c.lines.Scan() {
		t.Fatalf("the channel ended: %v", c.lines.Err())
	}
	return c.lines.Text()
}

func TestControlAnswers(t *testing.T) {
	c := serve(t).control(t)
	tests := []struct{ request, answer string }{
		{`{"id":1,"do":"hello"}`, `{"id":1,"ok":{"protocol":1}}`},
		{`{"id":2,"do":"inspect"}`, `{"id":2,"ok":{"environment":`},
		{`{"id":3,"do":"hold","epoch":4,"holder":{"user":"ann","host":"h","project":"p"}}`, `{"id":3,"ok":{"epoch":4,"holder":{"user":"ann"`},
		{`{"id":4,"do":"hold","epoch":3,"holder":{"user":"bob"}}`, `{"id":4,"error":{"kind":"stale-epoch","text":"older","holder":{"user":"ann"`},
		{`{"id":5,"do":"state"}`, `{"id":5,"ok":{"epoch":4`},
		{`{"id":6,"do":"beat","epoch":4}`, `{"id":6,"error":{"kind":"child-failed"`},
		{`{"id":7,"do":"take"}`, `{"id":7,"error":{"kind":"bad-request","text":"take needs an epoch"`},
		{`{"id":8,"do":"dance"}`, `{"id":8,"error":{"kind":"unknown-request"`},
		{`{"id":9,"do":"hold","epoch":4}`, `{"id":9,"error":{"kind":"bad-request"`},
		{`{"do":"state"}`, `{"id":null,"error":{"kind":"bad-request"`},
		{`garbage`, `{"id":null,"error":{"kind":"bad-request"`},
	}
	for _, test := range tests {
		if got := c.ask(t, test.request); !strings.HasPrefix(got, test.answer) {
			t.Errorf("%s: %s", test.request, got)
		}
	}
}

func TestARequestThatWaitsHoldsUpNoOther(t *testing.T) {
	s := serve(t)
	c := s.control(t)
	_, _ = io.WriteString(c, `{"id":"a","do":"stop","epoch":1}`+"\n")
	if got := c.ask(t, `{"id":"b","do":"state"}`); !strings.HasPrefix(got, `{"id":"b"`) {
		t.Fatal(got)
	}
	s.keeper.changed <- struct{}{}
	if got := c.next(t); !strings.HasPrefix(got, `{"event":"state","state":{"epoch":0`) {
		t.Fatal(got)
	}
	close(s.keeper.stopped)
	if got := c.next(t); !strings.HasPrefix(got, `{"id":"a","ok"`) {
		t.Fatal(got)
	}
}

func TestALineWithoutEndIsRefused(t *testing.T) {
	c := serve(t).control(t)
	go func() { _, _ = io.WriteString(c, strings.Repeat("x", 2*maxLine)) }()
	if c.lines.Scan() {
		t.Error(c.lines.Text())
	}
}
