package connect

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/lane"
)

// helloTimeout bounds the time from the proof of the key to hello.
const helloTimeout = 10 * time.Second

// partingTimeout is how long a lane that was refused may stay to read why.
const partingTimeout = 2 * time.Second

// registry is the lanes that have said hello.
type registry struct {
	mu    sync.Mutex
	lanes map[*lane.Session]int64 // the epoch of each
}

func (r *registry) add(session *lane.Session, epoch int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lanes[session] = epoch
}

func (r *registry) remove(session *lane.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.lanes, session)
}

// least gives the lane of an epoch with the fewest streams, or nil.
func (r *registry) least(epoch int64) *lane.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	var best *lane.Session
	for session, its := range r.lanes {
		if its == epoch && (best == nil || session.Streams() < best.Streams()) {
			best = session
		}
	}
	return best
}

func (r *registry) count(epoch int64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, its := range r.lanes {
		if its == epoch {
			n++
		}
	}
	return n
}

// drop forgets the lanes of epochs below this one, and gives them to be closed.
func (r *registry) drop(below int64) []*lane.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*lane.Session
	for session, its := range r.lanes {
		if its < below {
			found = append(found, session)
			delete(r.lanes, session)
		}
	}
	return found
}

// Open asks the laptop for a connection, on the least loaded lane of epoch. A
// lane that breaks meanwhile is tried no further: the caller knows whether
// another try is worth it.
func (p *Port) Open(ctx context.Context, epoch int64, from, to string) (hold.Stream, error) {
	session := p.lanes.least(epoch)
	if session == nil {
		return nil, &lane.ErrnoError{Name: "EAGAIN", Text: "no lane stands"}
	}
	stream, err := session.OpenTCP(ctx, lane.Header{From: from, To: to})
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// Count is how many lanes of epoch stand.
func (p *Port) Count(epoch int64) int { return p.lanes.count(epoch) }

// Drop ends the lanes of epochs below this one; none of them counts any more.
func (p *Port) Drop(below int64) {
	for _, session := range p.lanes.drop(below) {
		go func() { _ = session.Close() }() // may wait for a write in progress
	}
}

// serveLane runs one lane: the proof, hello, and then each stream by itself.
func (p *Port) serveLane(ctx context.Context, conn net.Conn, proved func(), keeper hold.Keeper) {
	session, err := lane.Server(ctx, conn, p.config.Key, p.config.Laptop)
	if err != nil {
		return
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, func() { _ = session.Close() })
	defer stop()
	proved()
	epoch, stream, ok := greet(ctx, session)
	if !ok {
		return
	}
	// Registered before its epoch is asked about, so that a drop of old epochs
	// either finds it or is seen here; and before the answer, so that a `take`
	// that follows it finds a lane.
	p.lanes.add(session, epoch)
	defer func() {
		p.lanes.remove(session)
		keeper.LanesChanged()
	}()
	if err := keeper.LaneUp(epoch); err != nil {
		turnAway(session, stream, &lane.ErrnoError{Name: "ESTALE", Text: err.Error()})
		return
	}
	keeper.LanesChanged()
	if err := stream.Answer(nil); err != nil {
		return
	}
	go func() { // hello's stream stays open as long as the lane
		_, _ = io.Copy(io.Discard, stream)
		_ = session.Close()
	}()
	p.streams(ctx, session)
}

// greet takes a lane's first stream, which must be hello, and gives its epoch.
func greet(ctx context.Context, session *lane.Session) (int64, *lane.Stream, bool) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	header, stream, err := session.Accept(ctx)
	if err != nil {
		return 0, nil, false
	}
	if header.Net != "hello" {
		turnAway(session, stream, &lane.ErrnoError{Name: "EINVAL", Text: "a lane begins with hello"})
		return 0, nil, false
	}
	return header.Epoch, stream, true
}

// turnAway says why, and leaves the other side the time to read it.
func turnAway(session *lane.Session, stream *lane.Stream, why error) {
	_ = stream.Answer(why)
	timer := time.NewTimer(partingTimeout)
	defer timer.Stop()
	select {
	case <-session.Done():
	case <-timer.C:
	}
}

// streams serves what the gateway opens until the lane ends.
func (p *Port) streams(ctx context.Context, session *lane.Session) {
	for {
		header, stream, err := session.Accept(ctx)
		if err != nil {
			return
		}
		go p.serveStream(ctx, header, stream)
	}
}

func (p *Port) serveStream(ctx context.Context, header lane.Header, stream *lane.Stream) {
	switch header.Net {
	case "tcp":
		serveTCP(ctx, stream, header.To)
	case "udp":
		serveUDP(ctx, stream, header.To)
	case "dns":
		serveDNS(ctx, stream, p.resolve())
	default:
		_ = stream.Answer(&lane.ErrnoError{Name: "EINVAL", Text: "unknown kind of stream"})
	}
}
