package front

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/proof"
)

func ask(t *testing.T, f *Front, key []byte) proof.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return proof.Prove(ctx, key, "127.0.0.1:"+strconv.Itoa(f.config.Ports[0].Front))
}

func TestAProofIsToldEveryWay(t *testing.T) {
	application, port := listening(t)
	go func() {
		for {
			conn, err := application.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	key := bytes.Repeat([]byte{3}, proof.KeySize)
	for _, c := range []struct {
		route Route
		errno string
	}{{Child, ""}, {Laptop, "ECONNREFUSED"}, {Queue, "EAGAIN"}} {
		t.Run(string(c.route), func(t *testing.T) {
			f, _ := newFront(t, port, 8, time.Minute)
			f.Set(c.route, 1)
			if err := f.Expect(key, time.Minute); err != nil {
				t.Fatal(err)
			}
			outcome := ask(t, f, key)
			want := proof.Answer{Address: "127.0.0.1", Port: port, Route: string(c.route), Errno: c.errno}
			if outcome.Answer == nil {
				t.Fatalf("%+v", outcome)
			}
			outcome.Answer.Text = ""
			if *outcome.Answer != want {
				t.Errorf("%+v", *outcome.Answer)
			}
		})
	}
}

func TestWithoutAnExpectationAProofIsAnOrdinaryConnection(t *testing.T) {
	f, _ := newFront(t, 1, 8, time.Minute)
	f.Set(Laptop, 1)
	outcome := ask(t, f, bytes.Repeat([]byte{3}, proof.KeySize))
	if outcome.Answer != nil || (outcome.Errno != "ECONNRESET" && outcome.Errno != "") {
		t.Errorf("%+v", outcome)
	}
}

func TestARefusedCallerIsResetWhileAProofIsExpected(t *testing.T) {
	f, dial := newFront(t, 1, 8, time.Minute)
	f.Set(Laptop, 1)
	if err := f.Expect(bytes.Repeat([]byte{3}, proof.KeySize), time.Minute); err != nil {
		t.Fatal(err)
	}
	conn := dial()
	if c, ok := conn.(*net.TCPConn); ok {
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	}
	isReset(t, conn)
}

// breaking is a lane that ends while it is asked.
type breaking struct{ silent }

func (breaking) Open(context.Context, int64, string, string) (hold.Stream, error) {
	return nil, errors.New("session shut down")
}

func TestALaneThatBreaksIsNotTakenForTheLaptopsWord(t *testing.T) {
	f, _ := newFront(t, 1, 8, time.Minute)
	f.lanes = breaking{}
	f.Set(Laptop, 1)
	key := bytes.Repeat([]byte{3}, proof.KeySize)
	if err := f.Expect(key, time.Minute); err != nil {
		t.Fatal(err)
	}
	outcome := ask(t, f, key)
	if outcome.Answer == nil || outcome.Answer.Errno != "EAGAIN" {
		t.Errorf("%+v", outcome)
	}
}
