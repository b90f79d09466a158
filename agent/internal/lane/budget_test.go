package lane

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// grow asks for windows as yamux does, each twice as large, and gives the last.
func grow(t *testing.T) (window int) {
	t.Helper()
	span, _ := newSpan()
	t.Cleanup(span.Done)
	if err := span.ReserveMemory(initialWindow, 255); err != nil {
		t.Fatal(err)
	}
	for window = initialWindow; window < maxWindow; window *= 2 {
		if span.ReserveMemory(window, growth) != nil {
			break
		}
	}
	return window
}

func TestALoneStreamGetsALargeWindowAndLeavesSomeForOthers(t *testing.T) {
	for name, c := range map[string]struct {
		budget  int64
		windows []int
	}{
		"the agent":   {16 << 20, []int{8 << 20, 4 << 20, 4 << 20, initialWindow}},
		"the gateway": {128 << 20, []int{16 << 20, 16 << 20, 16 << 20, 16 << 20, 16 << 20, 16 << 20, 4 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			base := reserved()
			SetBudget(base + c.budget)
			defer SetBudget(DefaultBudget)
			for i, want := range c.windows {
				if got := grow(t); got != want {
					t.Errorf("stream %d got %d KiB, want %d", i, got>>10, want>>10)
				}
			}
			for range 64 {
				grow(t)
			}
			if grown := reserved() - base - int64(64+len(c.windows))*initialWindow; grown > c.budget {
				t.Errorf("%d MiB are promised", grown>>20)
			}
		})
	}
}

// far is a connection over a distance: what is written arrives later, in order.
type far struct {
	net.Conn
	delay time.Duration

	mu    sync.Mutex
	queue []packet
	more  chan struct{}
}

type packet struct {
	due   time.Time
	bytes []byte
}

func newFar(t *testing.T, conn net.Conn, delay time.Duration) *far {
	f := &far{Conn: conn, delay: delay, more: make(chan struct{}, 1)}
	go f.carry(t.Context().Done())
	return f
}

func (f *far) Write(b []byte) (int, error) {
	f.mu.Lock()
	f.queue = append(f.queue, packet{time.Now().Add(f.delay), append([]byte(nil), b...)})
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (f *far) carry(over <-chan struct{}) {
	for {
		f.mu.Lock()
		queue := f.queue
		f.queue = nil
		f.mu.Unlock()
		for _, one := range queue {
			time.Sleep(time.Until(one.due))
			if _, err := f.Conn.Write(one.bytes); err != nil {
				return
			}
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-f.more:
		case <-over:
			return
		}
	}
}

// farPair is a lane with a round trip of 50 ms.
func farPair(t *testing.T) (gateway, agent *Session) {
	t.Helper()
	return pairOver(t, func(conn net.Conn) net.Conn { return newFar(t, conn, 25*time.Millisecond) })
}

func TestAStreamOverADistanceGetsTheLargestWindow(t *testing.T) {
	base := reserved()
	gateway, agent := farPair(t)
	opened, accepted := streamPair(t, gateway, agent)
	const size = 128 << 20
	go func() { _, _ = io.CopyN(opened, zeroes{}, size); _ = opened.CloseWrite() }()
	begin := time.Now()
	if n, err := io.Copy(io.Discard, accepted); n != size || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	t.Logf("%.0f MB/s at 50 ms, %d MiB promised", size/1e6/time.Since(begin).Seconds(), (reserved()-base)>>20)
	if window := reserved() - base; window < maxWindow {
		t.Errorf("only %d KiB of window", window>>10)
	}
}

// The agent's share of the container's memory is 48 MiB, a third of it the budget.
func TestManyStreamsOverADistanceStayInsideTheBudget(t *testing.T) {
	const streams, share = 64, 48 << 20
	const limit = share / 3
	base := reserved()
	SetBudget(base + limit)
	defer SetBudget(DefaultBudget)
	before := heap()
	gateway, agent := farPair(t)
	var sent, read sync.WaitGroup
	for i := range streams {
		opened, accepted := streamPair(t, gateway, agent)
		sent.Go(func() { _, _ = io.CopyN(opened, zeroes{}, 24<<20) })
		if i%2 == 0 { // half of them grow first and stand still then
			read.Go(func() { _, _ = io.CopyN(io.Discard, accepted, 4<<20) })
		}
	}
	read.Wait()
	waitStill(t)
	promised, held, used := reserved()-base, unreadBytes(), heap()-before
	told := fmt.Sprintf("%d MiB promised, %d MiB unread, heap of both ends +%d MiB", promised>>20, held>>20, used>>20)
	t.Log(told)
	if first := int64(2 * streams * initialWindow); promised > limit+first || held > 2*limit || used > share {
		t.Error(told)
	}
	_, _ = gateway.Close(), agent.Close()
	sent.Wait()
}

// waitStill returns when nothing has arrived for a while.
func waitStill(t *testing.T) {
	t.Helper()
	former := int64(-1)
	for end := time.Now().Add(20 * time.Second); former != unreadBytes(); time.Sleep(300 * time.Millisecond) {
		if former = unreadBytes(); time.Now().After(end) {
			t.Fatal("it does not end")
		}
	}
}
