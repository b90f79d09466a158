package front

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/lane"
)

// refusing is a laptop whose application does not listen.
type refusing struct{}

func (refusing) Open(context.Context, int64, string, string) (hold.Stream, error) {
	return nil, &lane.ErrnoError{Name: "ECONNREFUSED", Text: "nobody listens"}
}
func (refusing) Count(int64) int { return 1 }
func (refusing) Drop(int64)      {}

func listening(t *testing.T) (net.Listener, int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener, listener.Addr().(*net.TCPAddr).Port
}

func newFront(t *testing.T, port, most int, patience time.Duration) (*Front, func() net.Conn) {
	t.Helper()
	listener, before := listening(t)
	_ = listener.Close()
	f := New(Config{
		Address: "127.0.0.1", Ports: []Port{{Port: port, Front: before}}, Most: most, QueueTime: patience, Log: t.Logf,
	}, refusing{})
	if err := f.Listen(); err != nil {
		t.Fatal(err)
	}
	return f, func() net.Conn {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(before))
		if errors.Is(err, syscall.ECONNRESET) { // the reset was faster than connect's return
			return broken{err: err}
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		return conn
	}
}

// broken is a connection that was reset before anybody had it.
type broken struct {
	net.Conn
	err error
}

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func isReset(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

func TestARefusalOnTheLaptopIsAReset(t *testing.T) {
	f, dial := newFront(t, 1, 8, time.Minute)
	f.Set(Laptop, 1)
	isReset(t, dial())
}

// patient is a laptop at which nobody listens yet.
type patient struct{ refusing }

func (patient) Open(context.Context, int64, string, string) (hold.Stream, error) {
	return nil, &lane.ErrnoError{Name: "ECONNREFUSED", Text: "nobody listens yet", Again: true}
}

func TestWhoIsRefusedForAMomentGetsTheApplicationWhenItIsBack(t *testing.T) {
	for name, prepare := range map[string]func(*Front){
		"a command that has ended":             func(f *Front) { f.lanes = patient{} },
		"an application that is being started": func(f *Front) { f.Yield(true) },
	} {
		t.Run(name, func(t *testing.T) {
			application, port := listening(t)
			f, dial := newFront(t, port, 8, time.Minute)
			prepare(f)
			f.Set(Laptop, 1)
			conn := dial()
			for end := time.Now().Add(10 * time.Second); f.busy(Laptop) == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("it does not wait")
				}
			}
			f.Set(Child, 1)
			served, err := application.Accept()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(served, "the application")
			_ = served.Close()
			if answer, err := io.ReadAll(conn); string(answer) != "the application" {
				t.Errorf("%q, %v", answer, err)
			}
		})
	}
}

func TestWhoIsRefusedBehindAHandBackThatFailedIsReset(t *testing.T) {
	f, dial := newFront(t, 1, 8, time.Minute)
	f.Yield(true)
	f.Set(Laptop, 1)
	conn := dial()
	f.Yield(false)
	isReset(t, conn)
}

func TestTheQueueIsBoundedInTime(t *testing.T) {
	_, dial := newFront(t, 1, 8, 300*time.Millisecond)
	isReset(t, dial())
}

func TestTheQueueIsBoundedInNumber(t *testing.T) {
	_, dial := newFront(t, 1, 0, time.Minute)
	isReset(t, dial())
}

func TestTheQueuedGetTheApplicationAndItsHalfClose(t *testing.T) {
	application, port := listening(t)
	f, dial := newFront(t, port, 8, time.Minute)
	conn := dial().(*net.TCPConn)
	_, _ = io.WriteString(conn, "question")
	_ = conn.CloseWrite()
	f.Set(Child, 0)
	served, err := application.Accept()
	if err != nil {
		t.Fatal(err)
	}
	asked, _ := io.ReadAll(served) // ends by the caller's half-close
	_, _ = io.WriteString(served, "answer to "+string(asked))
	_ = served.Close()
	if answer, err := io.ReadAll(conn); string(answer) != "answer to question" {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestTheOwnPortIsFreeAtOnce(t *testing.T) {
	listener, port := listening(t)
	_ = listener.Close()
	f, _ := newFront(t, port, 8, time.Minute)
	f.OpenOwn(nil)
	held, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	f.CloseOwn()
	again, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}
