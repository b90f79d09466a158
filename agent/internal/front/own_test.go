package front

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/lane"
)

func TestAPortThatIsFreeALittleLaterIsHeldToo(t *testing.T) {
	leftOver, port := listening(t)
	f, _ := newFront(t, port, 8, time.Minute)
	f.OpenOwn(nil)
	t.Cleanup(f.CloseOwn)
	_ = leftOver.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// A proxy of the pod calls the application at 127.0.0.1, another container has the port at the pod's address; here 127.0.0.2
// and 127.0.0.1. Nobody declared it.
func TestAnOwnPortIsHeldWhereTheApplicationListens(t *testing.T) {
	neighbour, port := listening(t)
	f, _ := newFront(t, 1, 8, time.Minute)
	here := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), uint16(port))
	f.OpenOwn([]netip.AddrPort{here})
	waiting, err := net.Dial("tcp", here.String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	f.CloseOwn()
	application, err := net.Listen("tcp", here.String())
	if err != nil {
		t.Fatal(err)
	}
	defer application.Close()
	f.Set(Child, 0)
	served := make(chan string, 2)
	for _, listener := range []net.Listener{neighbour, application} {
		go func() {
			if _, err := listener.Accept(); err == nil {
				served <- listener.Addr().String()
			}
		}()
	}
	if by := <-served; by != here.String() {
		t.Errorf("served by %s", by)
	}
}

// silent is a laptop of which no lane stands.
type silent struct{}

func (silent) Open(context.Context, int64, string, string) (hold.Stream, error) {
	return nil, &lane.ErrnoError{Name: "EAGAIN", Text: "no lane stands"}
}
func (silent) Count(int64) int { return 0 }
func (silent) Drop(int64)      {}

func TestThoseThatWaitForALaneAreBoundedInNumber(t *testing.T) {
	f, dial := newFront(t, 1, 2, time.Minute)
	f.lanes = silent{}
	f.Set(Laptop, 1)
	dial()
	dial()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		f.mu.Lock()
		waiting := f.waiting
		f.mu.Unlock()
		if waiting == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait", waiting)
		}
	}
	isReset(t, dial())
}
