package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/sync/volume"
)

// pair is a Remote over a folder, and what it was told.
type pair struct {
	*Remote
	root string
	link net.Conn
	over chan error // the server's end

	mu     sync.Mutex
	told   map[string]volume.Item
	ready  chan struct{}
	listed int
}

func (p *pair) Tell(all []volume.Told) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range all {
		if one.Listing {
			p.listed += len(one.Names)
		} else {
			p.told[one.Path] = one.Item
		}
	}
}

func (p *pair) Scanned()     { close(p.ready) }
func (p *pair) Lacks(string) {}

func (p *pair) item(path string) volume.Item {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told[path]
}

func dial(t *testing.T, settings volume.Settings, prepare func(root string)) *pair {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	if prepare != nil {
		prepare(root)
	}
	mine, theirs := net.Pipe()
	p := &pair{root: root, link: mine, over: make(chan error, 1), told: map[string]volume.Item{}, ready: make(chan struct{})}
	go func() { p.over <- Serve(context.Background(), theirs, root, settings) }()
	p.Remote, err = Dial(mine, []string{"hidden"})
	check(t, err)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = p.Run(p) }()
	t.Cleanup(func() { _ = mine.Close(); <-ended })
	<-p.ready
	return p
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keeping is a Sink.
type keeping struct {
	bytes.Buffer
	fail error
}

func (k *keeping) Begin(volume.Item) error { k.Reset(); return nil }
func (k *keeping) Keep(bytes int64) error {
	_, err := fmt.Fprintf(k, "<%d>", bytes)
	return err
}

func (k *keeping) Write(part []byte) (int, error) {
	if k.fail != nil {
		return 0, k.fail
	}
	return k.Buffer.Write(part)
}

func mine(mode uint32) volume.Item {
	return volume.Item{Kind: volume.File, Mode: mode, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mtime: 1e18 + 1}
}

func TestARemoteVolumeIsAVolume(t *testing.T) {
	ctx := context.Background()
	text := strings.Repeat("0123456789", 50_000)
	p := dial(t, volume.Settings{Write: true}, func(root string) {
		check(t, os.WriteFile(root+"/a", []byte(text), 0o644))
		check(t, os.WriteFile(root+"/hidden", nil, 0o644))
	})
	if !p.Writable || p.Identity == "" || p.item("a").Kind != volume.File || p.item("hidden").Kind != volume.None {
		t.Errorf("%v %q %v", p.Writable, p.Identity, p.told)
	}
	got := &keeping{}
	item, digest, err := p.Fetch(ctx, "a", nil, got)
	if err != nil || got.String() != text || item != p.item("a") {
		t.Errorf("%d bytes, %+v, %v", got.Len(), item, err)
	}
	if _, again, err := p.Digest(ctx, "a"); err != nil || again != digest {
		t.Errorf("another digest, %v", err)
	}
	staged, err := p.Stage(volume.Change{Path: "b"})
	check(t, err)
	check(t, staged.Begin(volume.Item{}))
	_, err = staged.Write([]byte("void"))
	check(t, err)
	check(t, staged.Begin(volume.Item{}))
	_, err = io.Copy(staged, strings.NewReader(text))
	check(t, err)
	item, err = staged.Commit(ctx, mine(0o600))
	check(t, err)
	if written, err := os.ReadFile(p.root + "/b"); err != nil || string(written) != text || item != p.item("b") || item.Mode != 0o600 {
		t.Errorf("%d bytes, %+v, told %+v, %v", len(written), item, p.item("b"), err)
	}
	_, err = p.Apply(ctx, volume.Change{Path: "b", Verb: volume.Remove, Expect: item})
	check(t, err)
	if p.item("b").Kind != volume.None {
		t.Error("its end is not told")
	}
	check(t, os.WriteFile(p.root+"/c", nil, 0o644))
	check(t, p.Rescan(ctx))
	if p.item("c").Kind != volume.File {
		t.Error("a rescan tells nothing")
	}
}

func TestBlocksThatAreThereDoNotTravel(t *testing.T) {
	ctx := context.Background()
	const block = 64 << 10
	p := dial(t, volume.Settings{Write: true}, func(root string) {
		check(t, os.WriteFile(root+"/a", bytes.Repeat([]byte("a"), 2*block), 0o644))
		check(t, os.WriteFile(root+"/b", append(bytes.Repeat([]byte("a"), 2*block), "end"...), 0o644))
	})
	have, err := p.Blocks(ctx, "a")
	check(t, err)
	got := &keeping{}
	_, _, err = p.Fetch(ctx, "b", have, got)
	check(t, err)
	if want := "<65536><65536>end"; got.String() != want {
		t.Errorf("%d bytes", got.Len())
	}
	staged, err := p.Stage(volume.Change{Path: "a", Expect: p.item("a")})
	check(t, err)
	check(t, staged.Begin(volume.Item{}))
	check(t, staged.Keep(block))
	_, err = io.WriteString(staged, "new")
	check(t, err)
	_, err = staged.Commit(ctx, mine(0o600))
	check(t, err)
	if text, err := os.ReadFile(p.root + "/a"); err != nil || string(text) != strings.Repeat("a", block)+"new" {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestErrorsArriveAsTheyAre(t *testing.T) {
	ctx := context.Background()
	p := dial(t, volume.Settings{Write: true}, func(root string) { check(t, os.WriteFile(root+"/a", nil, 0o644)) })
	if _, _, err := p.Digest(ctx, "nothing"); !errors.Is(err, volume.ErrChanged) {
		t.Error(err)
	}
	staged, err := p.Stage(volume.Change{Path: "a"}) // where it should not be
	check(t, err)
	if _, err := staged.Commit(ctx, mine(0o600)); !errors.Is(err, volume.ErrChanged) {
		t.Error(err)
	}
	long := strings.Repeat("x", 300)
	staged, err = p.Stage(volume.Change{Path: long})
	check(t, err)
	if _, err := staged.Commit(ctx, mine(0o600)); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Error(err)
	}
	if _, err := p.Apply(ctx, volume.Change{Path: "../x", Verb: volume.Make}); err == nil {
		t.Error("it was made")
	}
	readOnly := dial(t, volume.Settings{}, nil)
	if _, err := readOnly.Apply(ctx, volume.Change{Path: "x", Verb: volume.Make}); !errors.Is(err, unix.EROFS) || readOnly.Writable {
		t.Error(err)
	}
}

func TestWhatIsGivenUpLeavesNothing(t *testing.T) {
	ctx := context.Background()
	p := dial(t, volume.Settings{Write: true}, func(root string) {
		check(t, os.WriteFile(root+"/large", make([]byte, 8<<20), 0o644))
	})
	full := errors.New("no room")
	if _, _, err := p.Fetch(ctx, "large", nil, &keeping{fail: full}); !errors.Is(err, full) {
		t.Error(err)
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := p.Fetch(short, "large", nil, &keeping{}); err == nil {
		t.Error("it went on")
	}
	staged, err := p.Stage(volume.Change{Path: "b"})
	check(t, err)
	staged.Drop()
	_, _, err = p.Digest(ctx, "large") // the connection still works, and the drop is done
	check(t, err)
	if names, err := os.ReadDir(p.root); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}

func TestWhenTheConnectionEndsEverythingDoes(t *testing.T) {
	p := dial(t, volume.Settings{Write: true}, nil)
	staged, err := p.Stage(volume.Change{Path: "half"})
	check(t, err)
	_, err = staged.Write([]byte("half of it"))
	check(t, err)
	check(t, p.link.Close())
	select {
	case <-p.over:
	case <-time.After(5 * time.Second):
		t.Fatal("the other end goes on")
	}
	if _, err := staged.Commit(context.Background(), mine(0o600)); !errors.Is(err, ErrLink) {
		t.Error(err)
	}
	if _, _, err := p.Digest(context.Background(), "a"); !errors.Is(err, ErrLink) {
		t.Error(err)
	}
	if names, err := os.ReadDir(p.root); err != nil || len(names) != 0 {
		t.Errorf("left: %v, %v", names, err)
	}
}

func TestALargeFolderIsTold(t *testing.T) {
	const count = 3000
	name := strings.Repeat("n", 200)
	p := dial(t, volume.Settings{}, func(root string) {
		for i := range count {
			check(t, os.WriteFile(root+"/"+name+strings.Repeat("x", i%50)+string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676)), nil, 0o644))
		}
	})
	if len(p.told) < 1000 {
		t.Errorf("%d names", len(p.told))
	}
	names, err := os.ReadDir(p.root)
	check(t, err)
	check(t, os.Remove(p.root+"/"+names[0].Name()))
	check(t, p.Rescan(context.Background()))
}

func TestAnotherProtocolIsRefused(t *testing.T) {
	mine, theirs := net.Pipe()
	defer mine.Close()
	over := make(chan error, 1)
	go func() { over <- Serve(context.Background(), theirs, t.TempDir(), volume.Settings{}) }()
	check(t, newWriter(mine).send(begin, 0, []byte{99}))
	if err := <-over; err == nil {
		t.Error("it was let in")
	}
}
