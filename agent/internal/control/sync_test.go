package control

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"devcluster/agent/internal/sync/volume"
	"devcluster/agent/internal/sync/wire"
)

// quietly is a Listener that waits for the first pass.
type quietly chan struct{}

func (q quietly) Tell([]volume.Told) {}
func (q quietly) Scanned()           { close(q) }
func (q quietly) Lacks(string)       {}

// opened is a channel with the subsystem sync, and how it ended.
func (s served) opened(t *testing.T, root string) (channel ssh.Channel, reason func() string) {
	t.Helper()
	channel, requests, err := s.dial(t).OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	if ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sync"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	_, _ = io.WriteString(channel, `{"root":"`+root+`"}`+"\n")
	return channel, func() string {
		text, _ := io.ReadAll(channel.Stderr())
		return string(text)
	}
}

func (s served) volume(t *testing.T, root string) (pod *wire.Remote, over chan error) {
	t.Helper()
	channel, reason := s.opened(t, root)
	pod, err := wire.Dial(channel, nil)
	if err != nil {
		t.Fatal(err, reason())
	}
	over, ready := make(chan error, 1), make(quietly)
	go func() { over <- pod.Run(ready) }()
	<-ready
	return pod, over
}

func TestSyncWritesOnlyWhereTheSettingsLetIt(t *testing.T) {
	writable, readable := mount(t), mount(t)
	served := serve(t, "write:"+writable, readable, filepath.Join(writable, "sub"))
	for root, want := range map[string]bool{writable: true, readable: false, writable + "/sub": false} {
		pod, _ := served.volume(t, root)
		_, err := pod.Apply(context.Background(), volume.Change{Path: "new", Verb: volume.Make, Item: volume.Item{Kind: volume.Dir}})
		if (err == nil) != want || pod.Writable != want {
			t.Errorf("%s: %v, said %v", root, err, pod.Writable)
		}
		if _, err := os.Lstat(root + "/new"); (err == nil) != want {
			t.Errorf("%s: %v", root, err)
		}
	}
}

func TestSyncStaysInItsMounts(t *testing.T) {
	root := mount(t)
	served := serve(t, "write:"+root)
	for _, name := range []string{root + "-too", filepath.Dir(root), "/", root + "/dir", root + "/a.txt", root + "/nothing", root + "/../secret"} {
		_, reason := served.opened(t, name)
		if got := reason(); got == "" {
			t.Errorf("%s was opened", name)
		}
	}
	pod, _ := served.volume(t, root)
	if _, _, err := pod.Digest(context.Background(), "up"); err == nil {
		t.Error("a link was followed")
	}
	if _, err := pod.Apply(context.Background(), volume.Change{Path: "dir/x", Verb: volume.Make, Item: volume.Item{Kind: volume.Dir}}); err == nil {
		t.Error("it was made through a link")
	}
}

func TestWhoComesBackEndsWhoWasThere(t *testing.T) {
	root := mount(t)
	served := serve(t, "write:"+root)
	_, over := served.volume(t, root)
	second, _ := served.volume(t, root)
	select {
	case <-over:
	case <-time.After(5 * time.Second):
		t.Fatal("the first goes on")
	}
	if _, _, err := second.Digest(context.Background(), "a.txt"); err != nil {
		t.Error(err)
	}
}

func TestSyncRefusesNonsense(t *testing.T) {
	served := serve(t, "write:"+mount(t))
	channel, reason := served.opened(t, strings.Repeat("x", 10)+`"`)
	defer channel.Close()
	if reason() == "" {
		t.Error("it was taken")
	}
}
