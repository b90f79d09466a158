package door

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// room is a backend that gives a lane's bytes back and answers "double".
type room struct{ calls chan *Lines }

func (room) Lane(_ context.Context, conn net.Conn, pod, id string) {
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, pod+"/"+id+":")
	_, _ = io.Copy(conn, conn)
}

func (r room) Control(ctx context.Context, conn net.Conn, welcome func() error) {
	if welcome() != nil {
		return
	}
	lines := NewLines(conn, func(_ context.Context, do string, body []byte) (any, error) {
		if do != "double" {
			return nil, &Refusal{Kind: "bad-request", Text: "only double"}
		}
		var asked struct {
			N int `json:"n"`
		}
		err := json.Unmarshal(body, &asked)
		return map[string]int{"n": 2 * asked.N}, err
	})
	go func() { r.calls <- lines }()
	lines.Run(ctx)
}

// Stream gives the bytes back behind the address; nothing is to be reached at "nowhere:1".
func (room) Stream(_ context.Context, conn Conn, to string, welcome func(error) error) {
	defer func() { _ = conn.Close() }()
	if to == "nowhere:1" {
		_ = welcome(errors.New("nobody is there"))
		return
	}
	if welcome(nil) != nil {
		return
	}
	_, _ = io.WriteString(conn, to+":")
	_, _ = io.Copy(conn, conn)
	_ = conn.CloseWrite()
}

func open(t *testing.T) (string, room) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inside := room{calls: make(chan *Lines, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- New("secret", inside).Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), inside
}

func dial(t *testing.T, at, line string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, line); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func TestOnlyTheTokenOpens(t *testing.T) {
	at, _ := open(t)
	for _, line := range []string{
		`{"token":"wrong","open":"control"}`, `{"open":"control"}`, `{"token":"secret","open":"window"}`,
		`{"token":"secret","open":"lane","pod":"p"}`, `{"token":"secret","open":"stream"}`, `GET / HTTP/1.1`, strings.Repeat("x", 2*maxKnock),
	} {
		_, reader := dial(t, at, line+"\n")
		answer, err := reader.ReadString('\n')
		if err != nil || !strings.HasPrefix(answer, `{"error":`) || strings.Contains(answer, "secret") {
			t.Errorf("%.40s: %q, %v", line, answer, err)
		}
	}
}

// The host process may send the first bytes of the lane with its line.
func TestALaneGetsEveryByteBehindTheLine(t *testing.T) {
	at, _ := open(t)
	conn, reader := dial(t, at, `{"token":"secret","open":"lane","pod":"p","lane":"1"}`+"\nearly")
	if answer, err := reader.ReadString('\n'); err != nil || answer != "{\"ok\":true}\n" {
		t.Fatalf("%q, %v", answer, err)
	}
	_, _ = io.WriteString(conn, " late")
	_ = conn.(*net.TCPConn).CloseWrite()
	rest, err := io.ReadAll(reader)
	if err != nil || string(rest) != "p/1:early late" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestAStreamIsWelcomedOnceItStands(t *testing.T) {
	at, _ := open(t)
	conn, reader := dial(t, at, `{"token":"secret","open":"stream","to":"db:3306"}`+"\nearly")
	if answer, err := reader.ReadString('\n'); err != nil || answer != "{\"ok\":true}\n" {
		t.Fatalf("%q, %v", answer, err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(reader); err != nil || string(rest) != "db:3306:early" {
		t.Errorf("%q, %v", rest, err)
	}
	_, reader = dial(t, at, `{"token":"secret","open":"stream","to":"nowhere:1"}`+"\n")
	if rest, err := io.ReadAll(reader); err != nil || string(rest) != "{\"error\":\"nobody is there\"}\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestConversation(t *testing.T) {
	at, inside := open(t)
	conn, reader := dial(t, at, `{"token":"secret","open":"control"}`+"\n")
	expect := func(want string) {
		t.Helper()
		if line, err := reader.ReadString('\n'); err != nil || line != want+"\n" {
			t.Errorf("got %q, %v, want %q", line, err, want)
		}
	}
	say := func(line string) { _, _ = io.WriteString(conn, line+"\n") }
	expect(`{"ok":true}`)
	lines := <-inside.calls
	say(`{"id":4,"do":"double","n":21}`)
	expect(`{"id":4,"ok":{"n":42}}`)
	say(`{"id":5,"do":"dance"}`)
	expect(`{"id":5,"error":{"kind":"bad-request","text":"only double"}}`)
	say(`no json`)
	expect(`{"error":{"kind":"bad-request","text":"expected one JSON object a line"}}`)
	if err := lines.Event(map[string]string{"event": "lane"}); err != nil {
		t.Error(err)
	}
	expect(`{"event":"lane"}`)

	answered := make(chan error, 1)
	var result struct{ N int }
	call := func() { answered <- lines.Call(t.Context(), "ask", map[string]any{"n": 1}, &result) }
	go call()
	expect(`{"do":"ask","id":1,"n":1}`)
	say(`{"id":1,"ok":{"n":7}}`)
	if err := <-answered; err != nil || result.N != 7 {
		t.Errorf("%v, %+v", err, result)
	}
	go call()
	expect(`{"do":"ask","id":2,"n":1}`)
	say(`{"id":2,"error":{"kind":"not-found","text":"none"}}`)
	var refusal *Refusal
	if err := <-answered; !errors.As(err, &refusal) || refusal.Kind != "not-found" {
		t.Errorf("got %v", err)
	}
	go call()
	expect(`{"do":"ask","id":3,"n":1}`)
	_ = conn.Close()
	if err := <-answered; err == nil {
		t.Error("the end of the conversation is an error to who waits")
	}
}
