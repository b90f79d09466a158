package front

import (
	"context"
	"io"
	"sync"
	"time"

	"devcluster/agent/internal/lane"
)

// pause is how long nothing must have moved before a connection on which the
// application had the last word is taken for idle.
const pause = 2 * time.Second

// talk follows one connection that somebody has taken: a request under way is
// waited for, however long it is silent; a connection that is only kept open is
// not.
type talk struct {
	route               Route
	caller, application io.Closer

	mu       sync.Mutex
	moved    time.Time
	answered bool // the application had the last word
	writing  int  // what was said and has not been taken yet
}

// idle is whether the application has answered, and nobody said anything since.
func (t *talk) idle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.answered && t.writing == 0 && time.Since(t.moved) >= pause
}

func (t *talk) note(answered bool, writing int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved, t.answered = time.Now(), answered
	t.writing += writing
}

// end closes both sides, as after the last word: what was said still arrives. A
// lane may have to wait for a write in progress.
func (t *talk) end() {
	_ = t.caller.Close()
	go func() { _ = t.application.Close() }()
}

// side is one end of a talk, as Splice gets it.
type side struct {
	lane.Conn
	talk        *talk
	application bool
}

func (s side) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if n > 0 || s.application && err == io.EOF {
		s.talk.note(s.application, 0)
	}
	return n, err
}

func (s side) Write(b []byte) (int, error) {
	s.talk.note(!s.application, 1)
	n, err := s.Conn.Write(b)
	s.talk.note(!s.application, -1)
	return n, err
}

// Abort resets it.
func (s side) Abort() { lane.Abort(s.Conn) }

// carry joins a caller and who has taken it, until both are done.
func (f *Front) carry(route Route, caller, application lane.Conn) {
	t := &talk{route: route, caller: caller, application: application, moved: time.Now()}
	f.mu.Lock()
	f.talks[t] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.talks, t)
	}()
	lane.Splice(side{caller, t, false}, side{application, t, true})
}

// Drain returns when nothing to these is under way any more, or ctx ends.
func (f *Front) Drain(ctx context.Context, routes ...Route) {
	ticker := time.NewTicker(again)
	defer ticker.Stop()
	for f.busy(routes...) > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// busy counts what is under way to these.
func (f *Front) busy(routes ...Route) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := 0
	for _, route := range routes {
		count += *f.count(route)
	}
	return count - len(f.idle(routes...))
}

// Part ends the idle connections to one of them.
func (f *Front) Part(route Route) {
	f.mu.Lock()
	idle := f.idle(route)
	f.mu.Unlock()
	for _, t := range idle {
		t.end()
	}
}

// Wean ends the connections to one as they become idle, until none is left or
// new ones go there again: a caller who keeps his connection open would never
// come to whoever serves now. Where it is at work already, that goes on.
func (f *Front) Wean(from Route) {
	ticker := time.NewTicker(again)
	defer ticker.Stop()
	for begin := true; f.weans(from, begin); begin = false {
		f.Part(from)
		<-ticker.C
	}
}

// weans is whether Wean goes on, or at its beginning, whether it is the only one.
func (f *Front) weans(from Route, begin bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if begin && f.weaning {
		return false
	}
	f.weaning = f.route != from && *f.count(from) > 0
	return f.weaning
}

// idle gives those connections to these that are only kept open; with mu.
func (f *Front) idle(routes ...Route) []*talk {
	var found []*talk
	for t := range f.talks {
		for _, route := range routes {
			if t.route == route && t.idle() {
				found = append(found, t)
			}
		}
	}
	return found
}
