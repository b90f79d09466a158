package lane

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-yamux/v5"
)

type keys struct {
	agent, laptop       ed25519.PrivateKey
	agentPub, laptopPub ed25519.PublicKey
}

func newKeys(t testing.TB) keys {
	t.Helper()
	var k keys
	var err error
	if k.agentPub, k.agent, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	if k.laptopPub, k.laptop, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	return k
}

// tcpPair is a real connection on loopback.
func tcpPair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

// lanePair is a lane on loopback.
func lanePair(t testing.TB) (gateway, agent *Session) {
	t.Helper()
	return pairOver(t, func(conn net.Conn) net.Conn { return conn })
}

// pairOver is lanePair with something between each end and its connection.
func pairOver(t testing.TB, way func(net.Conn) net.Conn) (gateway, agent *Session) {
	t.Helper()
	k := newKeys(t)
	one, other := tcpPair(t)
	client, server := way(one), way(other)
	done := make(chan error, 1)
	go func() {
		var err error
		agent, err = Server(t.Context(), server, k.agent, k.laptopPub)
		done <- err
	}()
	gateway, err := Client(t.Context(), client, k.laptop, k.agentPub)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gateway.Close(); agent.Close() })
	return gateway, agent
}

// streamPair is a stream that both sides agreed on.
func streamPair(t testing.TB, from, to *Session) (opened, accepted *Stream) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, stream, err := to.Accept(t.Context())
		if err == nil {
			accepted, err = stream, stream.Answer(nil)
		}
		done <- err
	}()
	opened, err := from.OpenTCP(t.Context(), Header{To: "10.0.0.1:80"})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return opened, accepted
}

func TestKeysThatAreNotPinnedAreRefused(t *testing.T) {
	good, other := newKeys(t), newKeys(t)
	tests := map[string]struct {
		laptop ed25519.PrivateKey
		agent  ed25519.PublicKey
	}{
		"another laptop": {other.laptop, good.agentPub},
		"another agent":  {good.laptop, other.agentPub},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, server := tcpPair(t)
			refused := make(chan error, 1)
			go func() {
				_, err := Server(t.Context(), server, good.agent, good.laptopPub)
				refused <- err
			}()
			if _, err := Client(t.Context(), client, test.laptop, test.agent); err == nil {
				t.Error("the laptop's side believes that it has a lane")
			}
			if err := <-refused; err == nil {
				t.Error("the agent's side believes that it has a lane")
			}
		})
	}
}

func TestWhoShowsNoCertificateIsRefused(t *testing.T) {
	k := newKeys(t)
	client, server := tcpPair(t)
	go func() {
		conn := tls.Client(client, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{ALPN}})
		_, _ = io.Copy(io.Discard, conn)
	}()
	if _, err := Server(t.Context(), server, k.agent, k.laptopPub); err == nil {
		t.Fatal("let in without a key")
	}
}

func TestAnotherProtocolIsRefused(t *testing.T) {
	k := newKeys(t)
	client, server := tcpPair(t)
	go func() {
		config, _ := tlsConfig(k.laptop, k.agentPub)
		config.NextProtos, config.InsecureSkipVerify = nil, true
		_, _ = io.Copy(io.Discard, tls.Client(client, config))
	}()
	if _, err := Server(t.Context(), server, k.agent, k.laptopPub); err == nil {
		t.Fatal("let in without the protocol's name")
	}
}

func TestSilenceInTheHandshakeEndsIt(t *testing.T) {
	k := newKeys(t)
	_, server := tcpPair(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Server(ctx, server, k.agent, k.laptopPub); err == nil {
		t.Fatal("a lane out of nothing")
	}
}

func TestBytesCrossBothWaysAndAreCounted(t *testing.T) {
	for _, name := range []string{"gateway opens", "agent opens"} {
		t.Run(name, func(t *testing.T) {
			from, to := lanePair(t)
			if name == "agent opens" {
				from, to = to, from
			}
			opened, accepted := streamPair(t, from, to)
			message := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			var group sync.WaitGroup
			group.Go(func() { _, _ = io.Copy(accepted, accepted); _ = accepted.CloseWrite() })
			group.Go(func() { _, _ = opened.Write(message); _ = opened.CloseWrite() })
			got, err := io.ReadAll(opened)
			group.Wait()
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%d of %d bytes came back, %v", len(got), len(message), err)
			}
			if n := from.Sent(); n != int64(len(message)) {
				t.Errorf("Sent is %d", n)
			}
		})
	}
}

func TestTheHeaderArrives(t *testing.T) {
	gateway, agent := lanePair(t)
	want := Header{Net: "hello", Epoch: 3}
	go func() { _, _ = gateway.Open(t.Context(), want) }()
	got, stream, err := agent.Accept(t.Context())
	if err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	_ = stream.Answer(nil)
}

func TestRefusalsKeepTheirErrno(t *testing.T) {
	gateway, agent := lanePair(t)
	tests := []struct {
		err  error
		want error
		name string
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, syscall.ECONNREFUSED, "ECONNREFUSED"},
		{&net.OpError{Op: "dial", Err: syscall.ENETUNREACH}, syscall.ENETUNREACH, "ENETUNREACH"},
		{&net.OpError{Op: "dial", Err: syscall.EPERM}, syscall.EACCES, "EACCES"},
		{context.DeadlineExceeded, syscall.ETIMEDOUT, "ETIMEDOUT"},
		{&net.AddrError{Err: "bad"}, syscall.EINVAL, "EINVAL"},
		{errors.New("anything"), syscall.EHOSTUNREACH, "EHOSTUNREACH"},
		{&ErrnoError{Name: "ESTALE", Text: "old"}, syscall.ESTALE, "ESTALE"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			go func() {
				_, stream, err := agent.Accept(t.Context())
				if err == nil {
					_ = stream.Answer(test.err)
				}
			}()
			_, err := gateway.OpenTCP(t.Context(), Header{To: "x"})
			var named *ErrnoError
			if !errors.As(err, &named) || named.Name != test.name || !errors.Is(err, test.want) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestWhoNeverAnswersIsLeftWithTheContext(t *testing.T) {
	gateway, agent := lanePair(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, stream, err := agent.Accept(t.Context())
		cancel()
		if err == nil {
			_, _ = io.Copy(io.Discard, stream)
		}
	}()
	if _, err := gateway.OpenTCP(ctx, Header{To: "x"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestAStreamWithoutAHeaderHoldsUpNobody(t *testing.T) {
	gateway, agent := lanePair(t)
	if _, err := gateway.mux.OpenStream(t.Context()); err != nil {
		t.Fatal(err)
	}
	oversized, err := gateway.mux.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = oversized.Write([]byte{0xff, 0xff})
	if _, err := oversized.Read(make([]byte, 1)); !errors.Is(err, errReset) {
		t.Errorf("a header of 65535 bytes: %v", err)
	}
	streamPair(t, gateway, agent)
}

func TestHundredsOfNewStreamsAtOnce(t *testing.T) {
	gateway, agent := lanePair(t)
	const count = 600
	go func() {
		for range count {
			_, stream, err := agent.Accept(t.Context())
			if err != nil {
				return
			}
			go func() { _ = stream.Answer(nil) }()
		}
	}()
	var group sync.WaitGroup
	for range count {
		group.Go(func() {
			if _, err := agentOpen(t, gateway); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func agentOpen(t *testing.T, s *Session) (*Stream, error) {
	return s.OpenTCP(t.Context(), Header{To: "x"})
}

func TestAnEndedLaneIsToldAtBothEnds(t *testing.T) {
	gateway, agent := lanePair(t)
	opened, _ := streamPair(t, gateway, agent)
	_ = agent.Close()
	<-gateway.Done()
	if _, err := opened.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("a read on a lost lane: %v", err)
	}
	if _, err := gateway.OpenTCP(t.Context(), Header{To: "x"}); err == nil {
		t.Error("opened on a lost lane")
	}
}

func TestRTTIsKnownAtOnce(t *testing.T) {
	gateway, _ := lanePair(t)
	if rtt := gateway.RTT(); rtt <= 0 {
		t.Errorf("RTT: %v", rtt)
	}
}

// isReset tells whether err says that the other side aborted the stream, or
// that its lane is gone.
func isReset(err error) bool { return errors.Is(err, yamux.ErrStreamReset) }

// reserved is how much of the budget is promised to peers at this moment.
func reserved() int64 { return budget.used.Load() }

// unreadBytes have arrived and were not read yet, on all lanes.
func unreadBytes() int64 {
	unread.mu.Lock()
	defer unread.mu.Unlock()
	return unread.total
}
