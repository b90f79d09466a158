package process

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/laptop"
)

// world is a process that runs, and the agent's end of a lane of it.
type world struct {
	t       *testing.T
	door    string
	stdin   io.Closer
	over    chan error
	session *lane.Session
}

// start runs it with a map of ports, and opens a lane of pod web-0.
func start(t *testing.T, ports map[uint16]uint16) *world {
	t.Helper()
	return startPatient(t, ports, 0)
}

func startPatient(t *testing.T, ports map[uint16]uint16, patience time.Duration) *world {
	t.Helper()
	agent, key, _ := ed25519.GenerateKey(nil)
	public, own, _ := ed25519.GenerateKey(nil)
	der, _ := x509.MarshalPKCS8PrivateKey(own)
	agentLine, _ := ssh.NewPublicKey(agent)
	line, err := json.Marshal(settings{
		Token: "secret", Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		Agent: string(ssh.MarshalAuthorizedKey(agentLine)), Epoch: 3, Ports: ports, PatienceMS: int(patience.Milliseconds()),
	})
	if err != nil {
		t.Fatal(err)
	}
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	w := &world{t: t, stdin: stdin, over: make(chan error, 1)}
	go func() { w.over <- Run(t.Context(), in, out) }()
	go func() { _, _ = stdin.Write(append(line, '\n')) }()
	t.Cleanup(func() { _ = stdin.Close() })
	var told struct{ Door int }
	if err := json.NewDecoder(stdout).Decode(&told); err != nil {
		t.Fatal(err)
	}
	w.door = fmt.Sprintf("127.0.0.1:%d", told.Door)
	conn, _ := w.knock(`"open":"lane","pod":"web-0","lane":"1"`)
	if w.session, err = lane.Server(t.Context(), conn, key, public); err != nil {
		t.Fatal(err)
	}
	header, hello, err := w.session.Accept(t.Context())
	if err != nil || header.Epoch != 3 || hello.Answer(nil) != nil {
		t.Fatalf("%+v, %v", header, err)
	}
	for guard := time.Now().Add(10 * time.Second); len(w.state().Lanes) == 0; {
		if time.Now().After(guard) {
			t.Fatal("no lane came")
		}
	}
	return w
}

// knock opens the door and gives what it answered.
func (w *world) knock(what string) (net.Conn, string) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.door)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	_, _ = fmt.Fprintf(conn, "{\"token\":\"secret\",%s}\n", what)
	var answer strings.Builder
	for one := make([]byte, 1); !strings.HasSuffix(answer.String(), "\n"); {
		if _, err := conn.Read(one); err != nil {
			w.t.Fatal(err)
		}
		answer.Write(one)
	}
	return conn, answer.String()
}

// silent asks for the state as the host process does.
func (w *world) silent() []laptop.Silent {
	w.t.Helper()
	return w.state().Silent
}

func (w *world) state() laptop.State {
	w.t.Helper()
	conn, _ := w.knock(`"open":"control"`)
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "{\"id\":1,\"do\":\"state\"}\n")
	var answer struct {
		OK laptop.State `json:"ok"`
	}
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		w.t.Fatal(err)
	}
	return answer.OK
}

// call opens a connection as a caller of the cluster would.
func (w *world) call(port int) (*lane.Stream, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	return w.session.OpenTCP(ctx, lane.Header{From: "10.244.0.7:41000", To: fmt.Sprintf("10.244.0.9:%d", port)})
}

// serve answers each connection with what it said, behind a mark, until the test ends.
func serve(t *testing.T, at, mark string) (uint16, net.Listener) {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				text, _ := io.ReadAll(conn)
				_, _ = io.WriteString(conn, mark+string(text))
				_ = conn.Close()
			}()
		}
	}()
	return uint16(listener.Addr().(*net.TCPAddr).Port), listener
}

func said(t *testing.T, conn lane.Conn, text string) string {
	t.Helper()
	_, _ = io.WriteString(conn, text)
	_ = conn.CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Error(err)
	}
	return string(answer)
}

func TestACallerReachesTheMappedPort(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(at, func(t *testing.T) {
			port, _ := serve(t, at, "mapped ")
			stream, err := start(t, map[uint16]uint16{8080: port}).call(8080)
			if err != nil {
				t.Fatal(err)
			}
			if got := said(t, stream, "hello"); got != "mapped hello" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestAPortWithoutAMapKeepsItsNumber(t *testing.T) {
	port, _ := serve(t, "127.0.0.1:0", "same ")
	stream, err := start(t, nil).call(int(port))
	if err != nil {
		t.Fatal(err)
	}
	if got := said(t, stream, "hello"); got != "same hello" {
		t.Errorf("got %q", got)
	}
}

func TestWhereNobodyListensTheCallerIsRefusedAndTheStateSaysSo(t *testing.T) {
	port, listener := serve(t, "127.0.0.1:0", "")
	w := start(t, map[uint16]uint16{8080: port})
	if got := w.silent(); got != nil {
		t.Errorf("somebody listens: %v", got)
	}
	_ = listener.Close()
	if got := w.silent(); !reflect.DeepEqual(got, []laptop.Silent{{Port: 8080, Local: port}}) {
		t.Errorf("before the first caller: %v", got)
	}
	if _, err := w.call(8080); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
	if got := w.silent(); !reflect.DeepEqual(got, []laptop.Silent{{Port: 8080, Local: port}}) {
		t.Errorf("behind it: %v", got)
	}
	serve(t, fmt.Sprintf("127.0.0.1:%d", port), "")
	if got := w.silent(); got != nil {
		t.Errorf("somebody listens again: %v", got)
	}
}

// A command starts, reloads and ends: its callers wait for a moment, and never for good.
func TestACallerOfACommandWaitsForAMoment(t *testing.T) {
	port, listener := serve(t, "127.0.0.1:0", "")
	_ = listener.Close()
	const patience = 400 * time.Millisecond
	w := startPatient(t, map[uint16]uint16{8080: port}, patience)
	again := func() bool {
		_, err := w.call(8080)
		var named *lane.ErrnoError
		if !errors.As(err, &named) || named.Name != "ECONNREFUSED" {
			t.Fatalf("got %v", err)
		}
		return named.Again
	}
	first := time.Now()
	if !again() {
		t.Error("the first caller is refused for good")
	}
	for again() {
		if time.Since(first) > 10*time.Second {
			t.Fatal("they wait for ever")
		}
	}
	if waited := time.Since(first); waited < patience {
		t.Errorf("refused for good after %s", waited)
	}
	_, listener = serve(t, fmt.Sprintf("127.0.0.1:%d", port), "")
	if _, err := w.call(8080); err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if !again() {
		t.Error("it has just been heard")
	}
}

// Where the system does not list its sockets, the last connection counts.
func TestSilenceWithoutAList(t *testing.T) {
	former := listening
	t.Cleanup(func() { listening = former })
	listening = func() ([]netip.AddrPort, bool) { return nil, false }
	port, listener := serve(t, "127.0.0.1:0", "")
	_ = listener.Close()
	w := start(t, map[uint16]uint16{8080: port})
	if got := w.silent(); got != nil {
		t.Errorf("nobody has called yet: %v", got)
	}
	_, _ = w.call(8080)
	if got := w.silent(); len(got) != 1 {
		t.Errorf("a caller was refused: %v", got)
	}
	serve(t, fmt.Sprintf("127.0.0.1:%d", port), "")
	if _, err := w.call(8080); err != nil {
		t.Fatal(err)
	}
	if got := w.silent(); got != nil {
		t.Errorf("a caller was accepted: %v", got)
	}
}

func TestATunnelIsDialledByThePod(t *testing.T) {
	w := start(t, nil)
	asked := make(chan lane.Header, 2)
	go func() {
		for {
			header, stream, err := w.session.Accept(t.Context())
			if err != nil {
				return
			}
			asked <- header
			if header.To == "closed:1" {
				_ = stream.Answer(syscall.ECONNREFUSED)
				continue
			}
			_ = stream.Answer(nil)
			text, _ := io.ReadAll(stream)
			_, _ = io.WriteString(stream, "pod "+string(text))
			_ = stream.Close()
		}
	}()
	conn, answer := w.knock(`"open":"stream","to":"wordpress-mariadb:3306"`)
	if header := <-asked; header.Net != "tcp" || header.To != "wordpress-mariadb:3306" || answer != "{\"ok\":true}\n" {
		t.Errorf("%+v, %s", header, answer)
	}
	if got := said(t, conn.(*net.TCPConn), "hello"); got != "pod hello" {
		t.Errorf("got %q", got)
	}
	conn, answer = w.knock(`"open":"stream","to":"closed:1"`)
	if !strings.Contains(answer, "closed:1: ECONNREFUSED") {
		t.Errorf("got %s", answer)
	}
	if _, err := bufio.NewReader(conn).ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

func TestItEndsWithItsStdin(t *testing.T) {
	w := start(t, nil)
	_ = w.stdin.Close()
	select {
	case err := <-w.over:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it lives on")
	}
	select {
	case <-w.session.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("its lane stands")
	}
}

func TestBadSettingsAreNamedNotShown(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "one line of JSON",
		`{"token":"s3cret"`:      "one line of JSON",
		`{"epoch":"s3cret"}`:     "epoch",
		`{"key":"s3cret"}`:       "token",
		`{"token":"s3cret"}`:     "key",
		`{"ports":{"a":1}}`:      "ports",
		`{"ports":{"80":99999}}`: "ports",
	} {
		err := Run(t.Context(), strings.NewReader(text), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
