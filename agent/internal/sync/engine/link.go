package engine

import (
	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
	"devcluster/agent/internal/sync/wire"
)

type remote struct{ *wire.Remote }

func (r remote) stage(change volume.Change) (staged, error) { return r.Stage(change) }

// connect uses a connection until it ends.
func (e *engine) connect(l *link) {
	defer func() { _ = l.in.Close() }() // what still arrives is for nobody
	pod, err := wire.Dial(l, e.config.Exclude)
	if err != nil {
		e.post(func() { e.unlinked(l.number, err) })
		return
	}
	e.post(func() { e.linked(l.number, pod) })
	err = pod.Run(&listener{e, l.number, e.hear(decide.Pod, l.number)})
	e.post(func() { e.unlinked(l.number, err) })
}

// listener hears the pod's side.
type listener struct {
	*engine
	link int
	tell func([]volume.Told)
}

func (l *listener) Tell(all []volume.Told) { l.tell(all) }

func (l *listener) Scanned() {
	l.post(func() {
		if l.link == l.engine.link {
			l.ready(decide.Pod)
		}
	})
}

func (l *listener) Lacks(why string) { l.post(func() { l.lacks[decide.Pod] = why }) }

// linked: the pod's side is there, and tells what it has.
func (e *engine) linked(number int, pod *wire.Remote) {
	e.link, e.sides[decide.Pod], e.scanned[decide.Pod] = number, remote{pod}, false
	e.tree.OneWay = e.config.OneWay || !pod.Writable
	e.tree.BeginScan(decide.Pod)
	e.status.link, e.status.refused = true, ""
	if name := e.config.Volume + "/" + pod.Identity; name != e.memory.Volume() {
		e.anotherVolume(name)
	}
}

func (e *engine) unlinked(number int, err error) {
	if e.link == number {
		e.sides[decide.Pod], e.scanned[decide.Pod] = nil, false
		e.link, e.status.link = 0, false
	}
	if err != nil {
		e.status.refused = err.Error()
	}
}

// anotherVolume: what is missing in this one was never deleted there.
func (e *engine) anotherVolume(name string) {
	e.tree.Each(func(path string, n *decide.Node) {
		e.tree.SetBase(n, n.Base.Elsewhere())
	})
	e.removed = [2][]removal{}
	e.rewriteMemory(name)
}
