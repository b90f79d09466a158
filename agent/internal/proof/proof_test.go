package proof

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"devcluster/agent/internal/lane"
)

var key = bytes.Repeat([]byte{7}, KeySize)

// pair is a connection whose accepted end may be a guest.
func pair(t *testing.T, guests *Guests) (caller *net.TCPConn, guest *Guest) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	_ = near.SetDeadline(time.Now().Add(20 * time.Second))
	return near.(*net.TCPConn), guests.Watch(far.(*net.TCPConn))
}

func expecting(t *testing.T) *Guests {
	t.Helper()
	guests := &Guests{}
	if err := guests.Expect(key, time.Minute); err != nil {
		t.Fatal(err)
	}
	return guests
}

func TestNobodyLooksWhenNothingIsExpected(t *testing.T) {
	guests := &Guests{}
	if _, guest := pair(t, guests); guest != nil {
		t.Error("looked")
	}
	_ = guests.Expect(key, time.Minute)
	_ = guests.Expect(key, 0)
	if _, guest := pair(t, guests); guest != nil {
		t.Error("looked after the end")
	}
}

func TestExpectIsBounded(t *testing.T) {
	guests := &Guests{}
	if guests.Expect([]byte("short"), time.Minute) == nil {
		t.Error("a short key was taken")
	}
	for i := range mostKeys {
		if err := guests.Expect(bytes.Repeat([]byte{byte(i)}, KeySize), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if guests.Expect(bytes.Repeat([]byte{99}, KeySize), time.Minute) == nil {
		t.Error("one more was taken")
	}
	if until := time.Until(guests.keys[0].until); until > longest {
		t.Errorf("looks for %s", until)
	}
}

// ordinary is what must reach the application unchanged.
func ordinary(t *testing.T) map[string][]byte {
	t.Helper()
	good, _ := question(key)
	stranger, _ := question(bytes.Repeat([]byte{8}, KeySize))
	used, _ := question(key)
	changed := bytes.Clone(good)
	changed[len(changed)-1] ^= 1
	return map[string][]byte{
		"http":            []byte("GET / HTTP/1.1\r\nHost: web\r\n\r\n"),
		"one byte":        []byte("x"),
		"nothing":         nil,
		"magic alone":     []byte(magic),
		"half a magic":    []byte(magic[:5]),
		"magic and more":  append([]byte(magic), bytes.Repeat([]byte{0}, 500)...),
		"another key":     stranger,
		"a bit changed":   changed,
		"one byte short":  good[:messageSize-1],
		"in the middle":   append([]byte("x"), good...),
		"used, see below": used,
	}
}

func TestOrdinaryBytesPassUnchanged(t *testing.T) {
	guests := expecting(t)
	for name, sent := range ordinary(t) {
		t.Run(name, func(t *testing.T) {
			if name == "used, see below" {
				if _, _, ok := guests.admit(sent); !ok {
					t.Fatal("the first was not admitted")
				}
			}
			caller, guest := pair(t, guests)
			go func() { _, _ = caller.Write(sent); _ = caller.CloseWrite() }()
			got, err := io.ReadAll(guest)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestAFewBytesThatLookLikeOneAreNotKept(t *testing.T) {
	caller, guest := pair(t, expecting(t))
	_, _ = caller.Write([]byte(magic[:3])) // and waits for an answer
	b := make([]byte, 9)
	n, err := guest.Read(b)
	if err != nil || string(b[:n]) != magic[:3] {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// application accepts one connection for each guest that is spliced to it.
type application struct{ near, far *net.TCPConn }

func spliced(t *testing.T, guest *Guest, answer Answer) application {
	t.Helper()
	far, _ := pair(t, &Guests{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	guest.Meet(answer, func() { _ = near.Close() })
	go lane.Splice(guest, near.(*net.TCPConn))
	t.Cleanup(func() { _ = accepted.Close() })
	return application{near.(*net.TCPConn), accepted.(*net.TCPConn)}
}

func TestAServerThatSpeaksFirstIsHeardAtOnce(t *testing.T) {
	caller, guest := pair(t, expecting(t))
	app := spliced(t, guest, Answer{})
	_, _ = app.far.Write([]byte("greeting"))
	b := make([]byte, 8)
	if _, err := io.ReadFull(caller, b); err != nil || string(b) != "greeting" {
		t.Errorf("%q, %v", b, err)
	}
	_, _ = caller.Write([]byte("hello"))
	if _, err := io.ReadFull(app.far, b[:5]); err != nil || string(b[:5]) != "hello" {
		t.Errorf("%q, %v", b[:5], err)
	}
}

// prove asks a listener that leads its one connection to a guest.
func prove(t *testing.T, lead func(*net.TCPConn), with []byte) Outcome {
	t.Helper()
	return proveWithin(t, 10*time.Second, lead, with)
}

func proveWithin(t *testing.T, patience time.Duration, lead func(*net.TCPConn), with []byte) Outcome {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); group.Wait() })
	group.Go(func() {
		if conn, err := listener.Accept(); err == nil {
			lead(conn.(*net.TCPConn))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return Prove(ctx, with, listener.Addr().String())
}

func TestAProofIsAnsweredBehindAGreetingAndTheApplicationHearsNothing(t *testing.T) {
	guests := expecting(t)
	heard := make(chan []byte, 1)
	outcome := prove(t, func(conn *net.TCPConn) {
		guest := guests.Watch(conn)
		app := spliced(t, guest, Answer{Address: "10.0.0.1", Port: 3306, Route: "laptop"})
		_, _ = app.far.Write([]byte("5.5.5-10.0.0-MariaDB"))
		said, _ := io.ReadAll(app.far)
		heard <- said
		_ = app.far.Close()
	}, key)
	if outcome.Answer == nil || *outcome.Answer != (Answer{Address: "10.0.0.1", Port: 3306, Route: "laptop"}) {
		t.Errorf("%+v", outcome)
	}
	if said := <-heard; len(said) != 0 {
		t.Errorf("the application heard %q", said)
	}
}

func TestAnApplicationThatEndsAtOnceDoesNotHinderTheAnswer(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn){
		"closes": func(c *net.TCPConn) { _ = c.Close() },
		"resets": func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			guests := expecting(t)
			outcome := prove(t, func(conn *net.TCPConn) {
				end(spliced(t, guests.Watch(conn), Answer{Route: "laptop"}).far)
			}, key)
			if outcome.Answer == nil || outcome.Answer.Route != "laptop" {
				t.Errorf("%+v", outcome)
			}
		})
	}
}

func TestAnApplicationThatDoesNotEndIsCut(t *testing.T) {
	guests := expecting(t)
	cut := make(chan error, 1)
	prove(t, func(conn *net.TCPConn) {
		app := spliced(t, guests.Watch(conn), Answer{})
		_ = app.far.SetDeadline(time.Now().Add(4 * parting))
		for {
			if _, err := app.far.Write([]byte("more")); err != nil {
				cut <- err
				return
			}
			time.Sleep(time.Millisecond) // a server that speaks on and on, not too fast
		}
	}, key)
	if err := <-cut; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
}

func TestLookFindsAProofThatNobodyTakes(t *testing.T) {
	guests := expecting(t)
	outcome := prove(t, func(conn *net.TCPConn) {
		guest := guests.Watch(conn)
		if !guest.Look(5 * time.Second) {
			t.Error("not found")
		}
		guest.Tell(Answer{Errno: "ECONNREFUSED"})
	}, key)
	if outcome.Answer == nil || outcome.Answer.Errno != "ECONNREFUSED" {
		t.Errorf("%+v", outcome)
	}
}

func TestLookLeavesASilentConnectionAsItWas(t *testing.T) {
	caller, guest := pair(t, expecting(t))
	if guest.Look(10 * time.Millisecond) {
		t.Error("found")
	}
	message, _ := question(key) // it comes late, and is found by the next look
	_, _ = caller.Write(message)
	if !guest.Look(5 * time.Second) {
		t.Error("not found")
	}
}

func TestWhoeverLacksTheKeyProvesNothing(t *testing.T) {
	guests := expecting(t)
	for name, with := range map[string][]byte{"asks": bytes.Repeat([]byte{1}, KeySize), "answers": key} {
		t.Run(name, func(t *testing.T) {
			outcome := prove(t, func(conn *net.TCPConn) {
				if name == "answers" { // an application that says back what it hears
					_, _ = io.CopyN(conn, conn, int64(messageSize))
					_ = conn.Close()
					return
				}
				app := spliced(t, guests.Watch(conn), Answer{})
				b := make([]byte, messageSize)
				_, _ = io.ReadFull(app.far, b)
				_ = app.far.Close()
			}, with)
			if outcome.Answer != nil || outcome.Stage != answering {
				t.Errorf("%+v", outcome)
			}
		})
	}
}

func TestARefusalIsNamed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	outcome := Prove(t.Context(), key, listener.Addr().String())
	if outcome.Stage != connecting || outcome.Errno != "ECONNREFUSED" {
		t.Errorf("%+v", outcome)
	}
}

func TestOneThatNeverAnswersEndsInTime(t *testing.T) {
	over := make(chan struct{})
	outcome := proveWithin(t, 100*time.Millisecond, func(conn *net.TCPConn) { <-over; _ = conn.Close() }, key)
	close(over)
	if outcome.Stage != answering || outcome.Errno != "ETIMEDOUT" {
		t.Errorf("%+v", outcome)
	}
}
