package board

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"
)

func TestReadyWhenEveryUnitWorks(t *testing.T) {
	b := New()
	set := func(name string, state State) { b.Set(name, func(u *Unit) { u.State = state }) }
	steps := []struct {
		name  string
		state State
		ready bool
	}{
		{"etcd", Waiting, false},
		{"images", Waiting, false},
		{"etcd", Running, false},
		{"images", Done, true},
		{"etcd", Failed, false},
		{"etcd", Running, true},
	}
	for i, step := range steps {
		set(step.name, step.state)
		if state, _ := b.Snapshot(); state.Ready != step.ready {
			t.Errorf("step %d (%s is %s): ready %v, want %v", i, step.name, step.state, state.Ready, step.ready)
		}
	}
}

func TestSnapshotTellsOfTheNextChange(t *testing.T) {
	b := New()
	before, changed := b.Snapshot()
	b.Set("etcd", func(u *Unit) { u.Restarts = 1 })
	<-changed
	if after, _ := b.Snapshot(); after.Version <= before.Version {
		t.Errorf("version %d after %d", after.Version, before.Version)
	}
}

func TestWatchEndsWhenReady(t *testing.T) {
	b := New()
	b.Set("etcd", func(u *Unit) { u.State = Starting })
	socket := filepath.Join(t.TempDir(), "s")
	go func() { _ = b.Serve(socket) }()
	out := watcher{first: make(chan struct{})}
	done := make(chan error)
	go func() { done <- Copy(socket, "watch", &out) }()
	<-out.first
	b.Set("etcd", func(u *Unit) { u.State = Running })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(out.text), []byte("\n"))
	var last Snapshot
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 2 || !last.Ready {
		t.Errorf("%d lines, the last one ready: %v", len(lines), last.Ready)
	}
}

// watcher says when the first line is there.
type watcher struct {
	text  []byte
	first chan struct{}
}

func (w *watcher) Write(data []byte) (int, error) {
	if w.text == nil {
		close(w.first)
	}
	w.text = append(w.text, data...)
	return len(data), nil
}
