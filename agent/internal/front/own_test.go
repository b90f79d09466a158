package front

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/lane"
)

func TestAPortThatIsFreeALittleLaterIsHeldToo(t *testing.T) {
	leftOver, port := listening(t)
	f, _ := newFront(t, port, 8, time.Minute)
	f.OpenOwn()
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
