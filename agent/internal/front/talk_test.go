package front

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// talking is a connection to the application, taken by it.
func talking(t *testing.T) (f *Front, caller *net.TCPConn, application net.Conn) {
	t.Helper()
	listener, port := listening(t)
	f, dial := newFront(t, port, 8, time.Minute)
	f.Set(Child, 0)
	caller = dial().(*net.TCPConn)
	application, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = application.Close() })
	_ = caller.SetDeadline(time.Now().Add(time.Minute))
	return f, caller, application
}

func say(t *testing.T, from, to net.Conn, word string) {
	t.Helper()
	if _, err := io.WriteString(from, word); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, len(word))); err != nil {
		t.Fatal(err)
	}
}

// drained tells whether nothing is under way after so long at most.
func drained(f *Front, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	f.Drain(ctx, Child)
	return ctx.Err() == nil
}

const longer = pause + pause/2

func TestASilentComputationIsUnderWayAndAnOpenConnectionIsNot(t *testing.T) {
	f, caller, application := talking(t)
	if drained(f, longer) {
		t.Error("nothing was said yet")
	}
	say(t, caller, application, "question")
	if drained(f, longer) {
		t.Error("the question is not answered yet")
	}
	say(t, application, caller, "answer")
	if drained(f, pause/2) {
		t.Error("the answer may go on")
	}
	if !drained(f, longer) {
		t.Error("answered, and waited for")
	}
	say(t, caller, application, "the next question")
	if f.Part(Child); drained(f, longer) {
		t.Error("asked again")
	}
	say(t, application, caller, "answer")
	if !drained(f, 2*longer) {
		t.Error("answered again, and waited for")
	}
	f.Part(Child)
	if _, err := caller.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("parted by %v", err)
	}
}

func TestAnAnswerThatNobodyReadsYetIsUnderWay(t *testing.T) {
	f, caller, application := talking(t)
	say(t, caller, application, "question")
	go func() { _, _ = application.Write(make([]byte, 64<<20)) }()
	if drained(f, longer) {
		t.Error("most of the answer is still to come")
	}
}

func TestWhoKeepsAConnectionOpenIsWeanedOfTheApplication(t *testing.T) {
	f, caller, application := talking(t)
	say(t, caller, application, "question")
	f.Set(Laptop, 0)
	done := make(chan struct{})
	go func() { f.Wean(Child); close(done) }()
	select {
	case <-done:
		t.Fatal("the question is not answered yet")
	case <-time.After(longer):
	}
	f.Wean(Child) // which is being done, so this does nothing
	say(t, application, caller, "answer")
	if _, err := caller.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("parted by %v", err)
	}
	<-done
}

func TestNobodyIsWeanedOfWhomNewConnectionsGoToAgain(t *testing.T) {
	f, caller, application := talking(t)
	say(t, caller, application, "question")
	say(t, application, caller, "answer")
	f.Wean(Child)
	say(t, caller, application, "the next question")
}
