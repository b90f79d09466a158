package engine

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
	"devcluster/agent/internal/sync/wire"
)

const (
	firstPause  = time.Second
	lastPause   = 30 * time.Second
	shortPause  = 100 * time.Millisecond
	manyChanges = 5 // in a row, after which a name that is never what it was is named

	quiet   = 250 * time.Millisecond // deletions are judged once none has come for so long
	longest = 2 * time.Second        // or after so long
	recent  = time.Minute            // deletions of so long ago count with those of now
)

// wait is why nothing is done about a name, and until when. Without tries it only keeps a file that is written
// all the time from being sent all the time: what is written first, once it was sent, is sent at once.
type wait struct {
	until time.Time
	tries int
	why   string
	to    decide.Side
	again bool // it was tried again since somebody asked for it
}

// failure is an error and the side that had it.
type failure struct {
	at decide.Side
	error
}

func (f failure) Unwrap() error { return f.error }

// failed decides when something is tried again.
func (e *engine) failed(step decide.Step, err error, now time.Time) {
	n := step.Node
	e.tree.Touch(n)
	if errors.Is(err, wire.ErrLink) || e.ctx.Err() != nil {
		return
	}
	w := e.waits[n]
	if w == nil {
		w = &wait{}
		e.waits[n] = w
	}
	w.tries++
	w.to, w.again = step.To, true
	pause := min(firstPause<<min(w.tries-1, 10), lastPause)
	if passes(err) {
		if w.tries < manyChanges {
			w.until, n.Waits = now.Add(time.Duration(w.tries)*shortPause), true
			return
		}
		if step.Verb == decide.Remove && step.Expect.Kind == volume.Dir { // it holds what is hidden: it lives on
			e.remember(n, step.Path, nil)
			delete(e.waits, n)
			return
		}
	}
	w.until, w.why, n.Waits = now.Add(pause), explainAt(err, step.To), true
}

// passes is whether an error only says that somebody was faster: what there is now is told, or will be.
func passes(err error) bool {
	for _, known := range []error{volume.ErrChanged, volume.ErrBusy, unix.ENOENT, unix.ENOTDIR, unix.EEXIST, unix.ESTALE} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// worked ends a wait. A file that took long to send, and again soon after, is not sent again at once.
func (e *engine) worked(n *decide.Node, took time.Duration, now time.Time) {
	before := e.waits[n]
	switch {
	case took > shortPause:
		n.Waits = before.isCalm()
		e.waits[n] = &wait{until: now.Add(min(5*took, lastPause))}
	case !before.isCalm():
		n.Waits = false
		delete(e.waits, n)
	}
}

// isCalm is whether nothing has failed.
func (w *wait) isCalm() bool { return w != nil && w.tries == 0 }

// retry ends the waits that are over.
func (e *engine) retry(now time.Time) {
	for n, w := range e.waits {
		over := !now.Before(w.until) || w.isCalm() && n.Gone()
		if n.Waits && over {
			n.Waits = false
			e.tree.Touch(n)
		}
		if over && w.isCalm() {
			delete(e.waits, n)
		}
	}
}

// forgive drops what nobody wants any more.
func (e *engine) forgive() {
	for n := range e.waits {
		if !n.Waits && !n.Open() && !e.waits[n].isCalm() {
			delete(e.waits, n)
		}
	}
}

// hurry ends all waits.
func (e *engine) hurry(now time.Time) {
	for _, w := range e.waits {
		w.again = false
		if w.why != "" || w.isCalm() {
			w.until = now
		}
	}
}

// burst is a run of deletions on a side.
type burst struct{ first, last time.Time }

func (b *burst) add(now time.Time) {
	if b.first.IsZero() {
		b.first = now
	}
	b.last = now
}

// over is whether it can be judged.
func (b *burst) over(now time.Time) bool {
	return b.first.IsZero() || now.Sub(b.last) >= quiet || now.Sub(b.first) >= longest
}

func (b *burst) due() time.Time {
	if due := b.first.Add(longest); due.Before(b.last.Add(quiet)) {
		return due
	}
	return b.last.Add(quiet)
}

type removal struct {
	at    time.Time
	count int
}

// options are what a plan needs to know of deletions.
func (e *engine) options(now time.Time) (options decide.Options) {
	for _, to := range []decide.Side{decide.Pod, decide.Laptop} {
		from := to.Other()
		if e.gone[from].over(now) {
			options.MayRemove[to] = true
			e.gone[from] = burst{}
		}
		for len(e.removed[to]) > 0 && now.Sub(e.removed[to][0].at) > recent {
			e.removed[to] = e.removed[to][1:]
		}
		for _, one := range e.removed[to] {
			options.Removed[to] += one.count
		}
	}
	return options
}

func (e *engine) countRemoval(to decide.Side, now time.Time) {
	if last := len(e.removed[to]) - 1; last >= 0 && now.Sub(e.removed[to][last].at) < time.Second {
		e.removed[to][last].count++
		return
	}
	e.removed[to] = append(e.removed[to], removal{now, 1})
}

// nextDue is in how long something is to be done without anybody saying anything; 0: never.
func (e *engine) nextDue(now time.Time) time.Duration {
	var due time.Time
	sooner := func(at time.Time) {
		if !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	for n, w := range e.waits {
		if n.Waits {
			sooner(w.until)
		}
	}
	for _, b := range e.gone {
		if !b.first.IsZero() && e.isReady() && !e.batch {
			sooner(b.due())
		}
	}
	for _, f := range e.flushes {
		sooner(f.until)
	}
	sooner(e.status.due)
	if e.batch || e.large > 0 { // how far it is
		sooner(now.Add(statusEvery))
	}
	if due.IsZero() {
		return 0
	}
	return max(due.Sub(now), time.Millisecond)
}

// explainAt says what failed, and where.
func explainAt(err error, at decide.Side) string {
	var known failure
	if errors.As(err, &known) {
		at = known.at
	}
	where := "on the laptop"
	if at == decide.Pod {
		where = "in the pod"
	}
	switch {
	case errors.Is(err, volume.ErrChanged):
		return "it changes all the time"
	case errors.Is(err, volume.ErrBusy):
		return "it is being written all the time"
	}
	return explain(err) + " " + where
}

func explain(err error) string {
	for errno, words := range map[unix.Errno]string{
		unix.ENOSPC: "no space is left", unix.EDQUOT: "the quota is used up", unix.EROFS: "the file system is read-only",
		unix.EACCES: "permission denied", unix.EPERM: "it belongs to another user", unix.ENAMETOOLONG: "the name is too long",
		unix.EFBIG: "the file is too large", unix.EIO: "the disk fails",
	} {
		if errors.Is(err, errno) {
			return words
		}
	}
	return err.Error()
}
