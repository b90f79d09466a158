package control

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
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

func (k *keeper) Hello() hold.Hello                           { return hold.Hello{Protocol: 1, Pod: "web-0"} }
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
	server, err := New(agent, laptopPub, k, mounts)
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
		{`{"id":1,"do":"hello"}`, `{"id":1,"ok":{"protocol":1,"version":"","pod":"web-0","state":{`},
		{`{"id":2,"do":"inspect"}`, `{"id":2,"ok":{"environment":`},
		{`{"id":3,"do":"hold","epoch":4,"holder":{"user":"ann","host":"h","project":"p"}}`, `{"id":3,"ok":{"epoch":4,"holder":{"user":"ann"`},
		{`{"id":4,"do":"hold","epoch":3,"holder":{"user":"bob"}}`, `{"id":4,"error":{"kind":"stale-epoch","text":"older","holder":{"user":"ann"`},
		{`{"id":5,"do":"state"}`, `{"id":5,"ok":{"epoch":4`},
		{`{"id":6,"do":"beat","epoch":4}`, `{"id":6,"error":{"kind":"child-failed"`},
		{`{"id":7,"do":"take"}`, `{"id":7,"error":{"kind":"bad-request","text":"take needs an epoch"`},
		{`{"id":8,"do":"dance"}`, `{"id":8,"error":{"kind":"bad-request"`},
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

func mount(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	root := filepath.Join(base, "mount")
	for name, content := range map[string]string{"secret": "outside", "mount/a.txt": "inside", "mount/sub/b.txt": "below", "mount-too/c": "neighbour"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"up": "../secret", "abs": filepath.Join(base, "secret"), "dir": "..", "in": "a.txt"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestSFTPReadsTheMountsAlone(t *testing.T) {
	root := mount(t)
	client, err := sftp.NewClient(serve(t, root).dial(t))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for name, want := range map[string]string{"a.txt": "inside", "sub/b.txt": "below", "in": "inside"} {
		file, err := client.Open(filepath.Join(root, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(file); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		_ = file.Close()
	}
	for _, name := range []string{"up", "abs", "dir/secret", "../secret", "../mount-too/c"} {
		if file, err := client.Open(root + "/" + name); err == nil {
			got, _ := io.ReadAll(file)
			t.Errorf("%s gave %q", name, got)
		}
		if name != "up" && name != "abs" {
			if _, err := client.Stat(root + "/" + name); err == nil {
				t.Errorf("%s was told", name)
			}
		}
	}
	if found, err := client.ReadDir(root); err != nil || len(found) != 6 {
		t.Errorf("%d entries, %v", len(found), err)
	}
	if target, err := client.ReadLink(root + "/up"); err != nil || target != "../secret" {
		t.Errorf("%q, %v", target, err)
	}
	if info, err := client.Lstat(root + "/up"); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestSFTPWritesNothing(t *testing.T) {
	root := mount(t)
	client, err := sftp.NewClient(serve(t, root).dial(t))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	name := root + "/a.txt"
	tries := map[string]error{
		"remove": client.Remove(name), "rename": client.Rename(name, name+"2"), "mkdir": client.Mkdir(root + "/new"),
		"chmod": client.Chmod(name, 0o777), "symlink": client.Symlink(name, root+"/new"), "truncate": client.Truncate(name, 0),
		"link": client.Link(name, root+"/new"), "posix rename": client.PosixRename(name, name+"2"),
	}
	if file, err := client.OpenFile(name, os.O_RDWR); err == nil {
		_, tries["write"] = file.Write([]byte("x"))
	}
	for what, err := range tries {
		if err == nil {
			t.Errorf("%s was granted", what)
		}
	}
	if content, err := os.ReadFile(name); err != nil || string(content) != "inside" {
		t.Errorf("%q, %v", content, err)
	}
}

// files asks the subsystem and gives what came, the reason and the status.
func (s served) files(t *testing.T, request string) (out, reason string, status uint32) {
	t.Helper()
	channel, requests, err := s.dial(t).OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer channel.Close()
	if ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"files"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	_, _ = io.WriteString(channel, request+"\n")
	told := make(chan string)
	go func() {
		reason, _ := io.ReadAll(channel.Stderr())
		told <- string(reason)
	}()
	got, _ := io.ReadAll(channel)
	reason, status = <-told, 99
	for request := range requests {
		if request.Type == "exit-status" {
			status = binary.BigEndian.Uint32(request.Payload)
		}
	}
	return string(got), reason, status
}

func TestFilesScan(t *testing.T) {
	root := mount(t)
	out, reason, status := serve(t, root).files(t, `{"do":"scan","root":"`+root+`","exclude":["sub/**"]}`)
	names := map[string]string{}
	for line := range strings.Lines(out) {
		var entry struct{ Path, Type string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		names[entry.Path] = entry.Type
	}
	if len(names) != 7 || names["."] != "d" || names["up"] != "l" || names["a.txt"] != "f" || names["sub/b.txt"] != "" || status != 0 {
		t.Errorf("%v, status %d %s", names, status, reason)
	}
}

func TestFilesPacksWhatHasNoUTF8Name(t *testing.T) {
	root := mount(t)
	if err := os.WriteFile(filepath.Join(root, "caf\xe9"), []byte("coffee"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, reason, status := serve(t, root).files(t, `{"do":"pack","root":"`+root+`","paths":["caf\udce9"]}`)
	if status != 0 || !strings.Contains(out, "coffee") || strings.Contains(out, "inside") {
		t.Errorf("%d bytes, status %d %s", len(out), status, reason)
	}
}

func TestFilesRefuses(t *testing.T) {
	root := mount(t)
	s := serve(t, root)
	for _, request := range []string{
		`{"do":"scan","root":"/etc"}`,
		`{"do":"scan","root":"` + root + `/dir"}`,
		`{"do":"scan","root":"` + root + `/../mount-too"}`,
		`{"do":"pack","root":"` + root + `","paths":["dir/secret"]}`,
		`{"do":"pack","root":"` + root + `","exclude":["["]}`,
		`{"do":"erase","root":"` + root + `"}`,
		`{`,
	} {
		out, reason, status := s.files(t, request)
		if strings.Contains(out, "outside") || strings.Contains(out, "neighbour") || reason == "" || status != 1 {
			t.Errorf("%s: %d bytes, status %d, %q", request, len(out), status, reason)
		}
	}
}
