package lane

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-yamux/v5"
)

var errReset = yamux.ErrStreamReset

// relay is the whole way: caller, splice, lane, splice, server.
func relay(t testing.TB, gateway, agent *Session) (caller, server *net.TCPConn) {
	t.Helper()
	caller, near := tcpPair(t)
	far, server := tcpPair(t)
	opened, accepted := streamPair(t, gateway, agent)
	go Splice(near, opened)
	go Splice(far, accepted)
	return caller, server
}

func TestHalfCloseCrosses(t *testing.T) {
	caller, server := laneRelay(t)
	request, reply := []byte("request"), bytes.Repeat([]byte("reply"), 100_000)
	go func() {
		got, _ := io.ReadAll(server) // ends by the caller's half-close alone
		if bytes.Equal(got, request) {
			_, _ = server.Write(reply)
		}
		_ = server.CloseWrite()
	}()
	_, _ = caller.Write(request)
	_ = caller.CloseWrite()
	got, err := io.ReadAll(caller)
	if err != nil || !bytes.Equal(got, reply) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(reply), err)
	}
}

func TestResetCrossesBothWays(t *testing.T) {
	for _, name := range []string{"caller resets", "server resets"} {
		t.Run(name, func(t *testing.T) {
			caller, server := laneRelay(t)
			from, to := caller, server
			if name == "server resets" {
				from, to = server, caller
			}
			_ = from.SetLinger(0)
			_ = from.Close()
			_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := to.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Fatalf("a reset arrived as %v", err)
			}
		})
	}
}

func TestALostLaneIsAResetForWhoIsOnIt(t *testing.T) {
	gateway, agent := lanePair(t)
	caller, server := relay(t, gateway, agent)
	_ = gateway.Close()
	for _, conn := range []*net.TCPConn{caller, server} {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
	}
}

func TestSpliceEndsAndCounts(t *testing.T) {
	gateway, agent := lanePair(t)
	caller, near := tcpPair(t)
	opened, accepted := streamPair(t, gateway, agent)
	go func() { _, _ = io.Copy(accepted, accepted); _ = accepted.CloseWrite() }()
	_, _ = caller.Write([]byte("hello"))
	_ = caller.CloseWrite()
	sent, received := Splice(near, opened)
	if sent != 5 || received != 5 {
		t.Errorf("sent %d, received %d", sent, received)
	}
}

func TestManyConnectionsAtOnceKeepTheirBytes(t *testing.T) {
	gateway, agent := lanePair(t)
	var group sync.WaitGroup
	for i := range 64 {
		caller, server := relay(t, gateway, agent)
		group.Go(func() { _, _ = io.Copy(server, server); _ = server.CloseWrite() })
		sent := make([]byte, 1<<20)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(sent)
		group.Go(func() { _, _ = caller.Write(sent); _ = caller.CloseWrite() })
		group.Go(func() {
			if got, err := io.ReadAll(caller); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("connection %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	group.Wait()
}

func TestStalledStreamsCostLittleAndStopNobody(t *testing.T) {
	gateway, agent := lanePair(t)
	before := heap()
	const stalled = 64
	var group sync.WaitGroup
	for range stalled {
		caller, _ := relay(t, gateway, agent) // its server never reads
		group.Go(func() { fillUp(caller) })
	}
	group.Wait()
	if used := heap() - before; used > 64<<20 {
		t.Errorf("%d stalled connections hold %d MiB at both ends together", stalled, used>>20)
	}
	caller, server := relay(t, gateway, agent)
	const size = 64 << 20
	begin := time.Now()
	go func() { _, _ = io.CopyN(caller, zeroes{}, size); _ = caller.CloseWrite() }()
	n, err := io.Copy(io.Discard, server)
	if n != size || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	t.Logf("beside %d stalled: %.0f MB/s, heap of both ends +%d MiB, reserved %d MiB", stalled,
		size/1e6/time.Since(begin).Seconds(), (heap()-before)>>20, reserved()>>20)
}

// fillUp writes until nothing moves any more.
func fillUp(conn *net.TCPConn) {
	_ = conn.SetWriteBuffer(64 << 10)
	for {
		_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Write(make([]byte, 64<<10)); err != nil {
			return
		}
	}
}

func TestWhoHoldsTheMostGoesWhenMemoryIsSpent(t *testing.T) {
	const limit = 4 << 20
	SetBudget(limit / 2)
	defer SetBudget(DefaultBudget)
	gateway, agent := lanePair(t)
	quiet, reader := streamPair(t, gateway, agent)
	_, _ = quiet.Write([]byte("kept"))
	reset := make(chan error, 64)
	for range cap(reset) { // 16 MiB of first windows, and nobody reads
		opened, _ := streamPair(t, gateway, agent)
		go func() {
			_, _ = opened.Write(make([]byte, initialWindow))
			_, err := opened.Read(make([]byte, 1))
			reset <- err
		}()
	}
	for range cap(reset) - limit/initialWindow {
		if err := <-reset; !isReset(err) {
			t.Fatal(err)
		}
	}
	if held := unreadBytes(); held > limit {
		t.Errorf("%d bytes are held", held)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
	_, _ = gateway.Close(), agent.Close()
	<-gateway.Done()
	<-agent.Done()
	waitFor(t, func() bool { return unreadBytes() == 0 })
}

// waitFor waits for what another goroutine is about to do.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

func TestWindowsStopAtTheBudget(t *testing.T) {
	const limit = 1 << 20
	base := reserved()
	SetBudget(base + limit)
	defer SetBudget(DefaultBudget)
	gateway, agent := lanePair(t)
	caller, server := relay(t, gateway, agent)
	go func() { _, _ = io.CopyN(caller, zeroes{}, 32<<20); _ = caller.CloseWrite() }()
	if n, err := io.Copy(io.Discard, server); n != 32<<20 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	_ = server.CloseWrite()
	if promised := reserved() - base; promised > limit {
		t.Errorf("grew to %d bytes", promised)
	}
	_ = gateway.Close()
	_ = agent.Close()
	if left := reserved() - base; left != 0 {
		t.Errorf("%d bytes stay reserved", left)
	}
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) { return len(b), nil }

func laneRelay(t testing.TB) (caller, server *net.TCPConn) {
	gateway, agent := lanePair(t)
	return relay(t, gateway, agent)
}

func BenchmarkThroughput(b *testing.B) {
	gateway, agent := lanePair(b)
	opened, accepted := streamPair(b, gateway, agent)
	block := make([]byte, largeBuffer)
	b.SetBytes(largeBuffer)
	var group sync.WaitGroup
	group.Go(func() { _, _ = io.Copy(io.Discard, accepted) })
	for b.Loop() {
		if _, err := opened.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	_ = opened.CloseWrite()
	group.Wait()
}

func BenchmarkRelay(b *testing.B) {
	gateway, agent := lanePair(b)
	caller, server := relay(b, gateway, agent)
	block := make([]byte, largeBuffer)
	b.SetBytes(largeBuffer)
	var group sync.WaitGroup
	group.Go(func() { _, _ = io.Copy(io.Discard, server) })
	for b.Loop() {
		if _, err := caller.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	_ = caller.CloseWrite()
	group.Wait()
}

func BenchmarkOpen(b *testing.B) {
	gateway, agent := lanePair(b)
	go func() {
		for {
			_, stream, err := agent.Accept(b.Context())
			if err != nil {
				return
			}
			_ = stream.Answer(nil)
			_ = stream.CloseWrite()
		}
	}()
	for b.Loop() {
		stream, err := gateway.OpenTCP(b.Context(), Header{To: "10.0.0.1:80"})
		if err != nil {
			b.Fatal(err)
		}
		_ = stream.Close()
	}
}
