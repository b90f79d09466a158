package laptop

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"devcluster/agent/internal/lane"
)

const (
	// laneWait is how long a new connection waits where no lane stands.
	laneWait = 10 * time.Second
	// dialTime is longer than the agent's own patience, so that the agent's answer counts.
	dialTime = 60 * time.Second
)

// errNoLane is a time-out to the application: its kernel asks again.
var errNoLane = &lane.ErrnoError{Name: "ETIMEDOUT", Text: "no lane to the pod stands"}

// standing is a lane that is up.
type standing struct {
	pod, id string
	session *lane.Session
}

// lanes knows the lanes that are up and chooses one for a connection. It is safe for concurrent use.
type lanes struct {
	mu      sync.Mutex
	up      []*standing
	primary string
	changed chan struct{} // closed and replaced at each change
}

func newLanes() *lanes { return &lanes{changed: make(chan struct{})} }

func (l *lanes) add(s *standing) { l.change(func() { l.up = append(l.up, s) }) }

func (l *lanes) remove(s *standing) {
	l.change(func() {
		for i, other := range l.up {
			if other == s {
				l.up = append(l.up[:i:i], l.up[i+1:]...)
				return
			}
		}
	})
}

// setPrimary names the pod by which connections leave; the others are the reserve.
func (l *lanes) setPrimary(pod string) { l.change(func() { l.primary = pod }) }

func (l *lanes) change(how func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	how()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *lanes) list() []*standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*standing(nil), l.up...)
}

// pod is the one by which connections leave: the primary one, and while no lane of it stands the one whose
// lane stands longest. It is one pod at each moment, since others see its address. With mu.
func (l *lanes) pod() string {
	for _, s := range l.up {
		if s.pod == l.primary {
			return s.pod
		}
	}
	if len(l.up) == 0 {
		return ""
	}
	return l.up[0].pod
}

// leadsBy is whether connections leave by this pod.
func (l *lanes) leadsBy(pod string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return pod == l.pod()
}

// choose gives the least loaded lane of the pod by which connections leave; nil where none stands.
func (l *lanes) choose() (*standing, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var best *standing
	pod := l.pod()
	for _, s := range l.up {
		if s.pod == pod && (best == nil || s.session.Streams() < best.session.Streams()) {
			best = s
		}
	}
	return best, l.changed
}

// open opens a stream on the best lane, waiting for one for a while, and tells its pod. A lane that fails while
// it is asked is passed over: nothing has reached the other side's network unless it answered.
func (l *lanes) open(ctx context.Context, header lane.Header) (*lane.Stream, string, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	patience := time.NewTimer(laneWait)
	defer patience.Stop()
	for {
		best, changed := l.choose()
		if best != nil {
			stream, err := best.session.Open(ctx, header)
			if err == nil || isAnswer(err) || ctx.Err() != nil {
				return stream, best.pod, err
			}
			if !isDown(best.session) { // the stream broke, not the lane
				return nil, "", err
			}
			l.remove(best)
			continue
		}
		select {
		case <-changed:
		case <-patience.C:
			return nil, "", errNoLane
		case <-ctx.Done():
			return nil, "", syscall.ETIMEDOUT
		}
	}
}

func isAnswer(err error) bool {
	var answer *lane.ErrnoError
	return errors.As(err, &answer)
}

func isDown(session *lane.Session) bool {
	select {
	case <-session.Done():
		return true
	default:
		return false
	}
}
