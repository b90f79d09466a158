package volume

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// world is a Volume over a folder, and what it has told.
type world struct {
	t    *testing.T
	root string
	*Volume

	mu    sync.Mutex
	items map[string]Item
	told  int
	news  chan struct{}
}

// below is whether name is in folder, however deep.
func below(name, folder string) bool {
	return folder == "." && name != "." || strings.HasPrefix(name, folder+"/")
}

func start(t *testing.T, settings Settings, prepare func(root string)) *world {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	if prepare != nil {
		prepare(root)
	}
	w := &world{t: t, root: root, items: map[string]Item{}, news: make(chan struct{}, 1)}
	settings.Write, settings.Tell = true, w.hear
	v, err := Open(root, settings)
	check(t, err)
	w.Volume = v
	ctx, cancel := context.WithCancel(context.Background())
	scanned, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- v.Run(ctx, func() { close(scanned) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		v.Close()
	})
	<-scanned
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) hear(told []Told) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range told {
		w.told++
		switch {
		case one.Listing:
			maps.DeleteFunc(w.items, func(name string, _ Item) bool {
				if !below(name, one.Path) {
					return false
				}
				first, _, _ := strings.Cut(strings.TrimPrefix(name, one.Path+"/"), "/")
				return !slices.Contains(one.Names, first)
			})
		case one.Item.Kind == None:
			maps.DeleteFunc(w.items, func(name string, _ Item) bool { return name == one.Path || below(name, one.Path) })
		default:
			w.items[one.Path] = one.Item
		}
	}
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *world) item(name string) Item {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.items[name]
}

// until waits for what is told; a watched change takes milliseconds.
func (w *world) until(what string, holds func(map[string]Item) bool) {
	w.t.Helper()
	late := time.After(5 * time.Second)
	for {
		w.mu.Lock()
		held := holds(w.items)
		w.mu.Unlock()
		if held {
			return
		}
		select {
		case <-w.news:
		case <-late:
			w.t.Fatalf("not told: %s; told: %v", what, slices.Sorted(maps.Keys(w.items)))
		}
	}
}

func (w *world) path(name string) string { return filepath.Join(w.root, name) }

func (w *world) write(name, text string) {
	w.t.Helper()
	check(w.t, os.MkdirAll(filepath.Dir(w.path(name)), 0o755))
	check(w.t, os.WriteFile(w.path(name), []byte(text), 0o644))
}

func (w *world) read(name string) string {
	text, err := os.ReadFile(w.path(name))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// now is what is there, asked without telling.
func (w *world) now(name string) Item {
	w.t.Helper()
	var st unix.Stat_t
	err := unix.Lstat(w.path(name), &st)
	if errors.Is(err, unix.ENOENT) {
		return Item{}
	}
	check(w.t, err)
	item := describe(&st)
	if item.Kind == Link {
		item.Link, err = os.Readlink(w.path(name))
		check(w.t, err)
	}
	return item
}

func (w *world) put(name, text string, expect Item) error {
	staged, err := w.Stage(Change{Path: name, Expect: expect})
	if err != nil {
		return err
	}
	check(w.t, staged.Begin(Item{}))
	_, err = io.WriteString(staged, text)
	check(w.t, err)
	_, err = staged.Commit(context.Background(), Item{
		Kind: File, Mode: 0o640, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mtime: 1_600_000_000_123_456_789,
	})
	return err
}

func (w *world) noParts() {
	w.t.Helper()
	check(w.t, filepath.WalkDir(w.root, func(path string, _ os.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), Part) {
			w.t.Errorf("left: %s", path)
		}
		return err
	}))
}

func TestEverythingThatIsThereIsTold(t *testing.T) {
	w := start(t, Settings{Exclude: []string{"cache/**", "*.log"}}, func(root string) {
		check(t, os.MkdirAll(root+"/a/b", 0o755))
		check(t, os.MkdirAll(root+"/cache/x", 0o755))
		for _, name := range []string{"a/b/c", "a/\xff", "x.log", Part + "old-1"} {
			check(t, os.WriteFile(filepath.Join(root, name), []byte(name), 0o640))
		}
		check(t, os.Symlink("/etc/passwd", root+"/out"))
		check(t, unix.Mkfifo(root+"/pipe", 0o600))
		check(t, unix.Mknod(root+"/socket", unix.S_IFSOCK|0o600, 0))
	})
	kinds := map[string]Kind{".": Dir, "a": Dir, "a/b": Dir, "a/b/c": File, "a/\xff": File, "cache": Dir, "out": Link, "pipe": Pipe, "socket": Other}
	for name, kind := range kinds {
		if got := w.item(name); got.Kind != kind {
			t.Errorf("%q is %q", name, got.Kind)
		}
	}
	if len(w.items) != len(kinds) {
		t.Errorf("told: %v", slices.Sorted(maps.Keys(w.items)))
	}
	if got := w.item("out").Link; got != "/etc/passwd" {
		t.Errorf("the link leads to %q", got)
	}
	w.noParts() // what a killed process left is gone
}

func TestEachKindOfChangeIsTold(t *testing.T) {
	w := start(t, Settings{}, nil)
	same := func(name string) {
		t.Helper()
		w.until(name, func(items map[string]Item) bool { return items[name] == w.now(name) })
	}
	w.write("a/b/c/d", "one")
	same("a/b/c/d")
	w.write("a/b/c/d", "other")
	same("a/b/c/d")
	check(t, os.Chmod(w.path("a/b/c/d"), 0o600))
	same("a/b/c/d")
	check(t, os.Truncate(w.path("a/b/c/d"), 1))
	same("a/b/c/d")
	check(t, os.Chtimes(w.path("a/b/c/d"), time.Unix(5, 6), time.Unix(7, 8)))
	same("a/b/c/d")
	check(t, os.Link(w.path("a/b/c/d"), w.path("a/hard")))
	same("a/hard")
	check(t, os.Symlink("b", w.path("a/soft")))
	same("a/soft")
	check(t, os.Chmod(w.path("a/b"), 0o700))
	same("a/b")
	check(t, os.Rename(w.path("a/b"), w.path("moved"))) // a folder with all in it
	same("moved/c/d")
	w.until("gone", func(items map[string]Item) bool { return items["a/b/c/d"].Kind == None && items["a/b"].Kind == None })
	w.write("moved/c/new", "in a folder that has moved")
	same("moved/c/new")
	check(t, os.RemoveAll(w.path("moved")))
	w.until("removed", func(items map[string]Item) bool { return items["moved/c/new"].Kind == None })
	w.write("tmp", "over")
	check(t, os.Rename(w.path("tmp"), w.path("a/hard")))
	same("a/hard")
	check(t, os.RemoveAll(w.path("a")))
	w.write("a", "a file where a folder was")
	same("a")
}

func TestWhatIsNotWatchedIsFoundByARescan(t *testing.T) {
	w := start(t, Settings{Watches: 1}, func(root string) { check(t, os.MkdirAll(root+"/a/b", 0o755)) })
	if w.Watching() == "" {
		t.Error("it says nothing")
	}
	w.write("a/b/new", "x")
	check(t, w.Rescan(context.Background()))
	if w.item("a/b/new") != w.now("a/b/new") {
		t.Error("not told")
	}
	check(t, os.Remove(w.path("a/b/new")))
	check(t, w.Rescan(context.Background()))
	if w.item("a/b/new").Kind != None {
		t.Error("its end is not told")
	}
	told := w.told
	check(t, w.Rescan(context.Background()))
	if w.told != told {
		t.Errorf("%d told where nothing changed", w.told-told)
	}
}

func TestAFileIsPutInPlaceOnlyWhereTheOtherSideKnewWhatIsThere(t *testing.T) {
	w := start(t, Settings{}, nil)
	check(t, w.put("a", "one", Item{}))
	if err := w.put("a", "two", Item{}); !errors.Is(err, ErrChanged) || w.read("a") != "one" {
		t.Errorf("%v, %q", err, w.read("a"))
	}
	known := w.item("a")
	if known != w.now("a") || known.Mode != 0o640 || known.Mtime != 1_600_000_000_123_456_789 {
		t.Errorf("told %+v", known)
	}
	check(t, w.put("a", "two", known))
	if w.read("a") != "two" {
		t.Error(w.read("a"))
	}
	if err := w.put("a", "three", known); !errors.Is(err, ErrChanged) || w.read("a") != "two" {
		t.Errorf("%v, %q", err, w.read("a"))
	}
	w.noParts()
}

func TestWhatIsStillBeingWrittenIsPutBack(t *testing.T) {
	w := start(t, Settings{}, func(root string) { check(t, os.WriteFile(root+"/a", []byte("one"), 0o644)) })
	for _, change := range []func() error{
		func() error { return w.put("a", "theirs", w.now("a")) },
		func() error {
			_, err := w.Apply(context.Background(), Change{Path: "a", Verb: Remove, Expect: w.now("a")})
			return err
		},
	} {
		opened, err := os.OpenFile(w.path("a"), os.O_WRONLY|os.O_APPEND, 0)
		check(t, err)
		before := w.read("a")
		done := make(chan error)
		go func() { done <- change() }()
		w.until("replaced", func(items map[string]Item) bool { return w.read("a") != before })
		_, err = opened.WriteString(" and late")
		check(t, err)
		check(t, opened.Close())
		if err := <-done; !errors.Is(err, ErrChanged) {
			t.Errorf("got %v", err)
		}
		if got := w.read("a"); got != before+" and late" {
			t.Errorf("it is %q", got)
		}
		w.until("told again", func(items map[string]Item) bool { return items["a"] == w.now("a") })
	}
	w.noParts()
}

func TestWhatIsNewerIsNotReplacedByWhatIsPutBack(t *testing.T) {
	w := start(t, Settings{}, func(root string) { check(t, os.WriteFile(root+"/a", []byte("one"), 0o644)) })
	opened, err := os.OpenFile(w.path("a"), os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	done := make(chan error)
	go func() { done <- w.put("a", "theirs", w.now("a")) }()
	w.until("replaced", func(map[string]Item) bool { return w.read("a") == "theirs" })
	_, err = opened.WriteString(" and late")
	check(t, err)
	check(t, opened.Close())
	w.write("b", "newest")
	check(t, os.Rename(w.path("b"), w.path("a")))
	if err := <-done; !errors.Is(err, ErrChanged) || w.read("a") != "newest" {
		t.Errorf("%v, %q", err, w.read("a"))
	}
	w.noParts()
}

func TestWhatIsPutIntoAFolderThatIsMovedAwayIsNotThere(t *testing.T) {
	w := start(t, Settings{}, func(root string) { check(t, os.Mkdir(root+"/d", 0o755)) })
	outside, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	staged, err := w.Stage(Change{Path: "d/a"})
	check(t, err)
	check(t, os.Rename(w.path("d"), outside+"/d"))
	if _, err := staged.Commit(context.Background(), Item{Kind: File, Mode: 0o600, UID: NoOwner}); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
}

func TestChanges(t *testing.T) {
	w := start(t, Settings{}, nil)
	me := Item{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	as := func(kind Kind, mode uint32, link string) Item {
		item := me
		item.Kind, item.Mode, item.Link = kind, mode, link
		return item
	}
	apply := func(change Change) {
		t.Helper()
		change.Expect = w.now(change.Path)
		item, err := w.Apply(context.Background(), change)
		check(t, err)
		if item != w.now(change.Path) || w.item(change.Path) != item {
			t.Errorf("%s: answered %+v, told %+v, is %+v", change.Path, item, w.item(change.Path), w.now(change.Path))
		}
	}
	apply(Change{Path: "dir", Verb: Make, Item: as(Dir, 0o2755, "")})
	apply(Change{Path: "dir/link", Verb: Make, Item: as(Link, 0o777, "nowhere")})
	apply(Change{Path: "dir/pipe", Verb: Make, Item: as(Pipe, 0o622, "")})
	check(t, w.put("dir/a", "text", Item{}))
	apply(Change{Path: "dir/b", Verb: Tie, From: "dir/a", Source: w.now("dir/a")})
	if a, b := w.now("dir/a"), w.now("dir/b"); a != b || a.Names != 2 {
		t.Errorf("%+v, %+v", a, b)
	}
	same := w.now("dir/a")
	apply(Change{Path: "dir/copy", Verb: Copy, From: "dir/a", Source: same, Item: same})
	if w.read("dir/copy") != "text" || w.now("dir/copy").Inode == same.Inode {
		t.Errorf("a copy: %q, %+v", w.read("dir/copy"), w.now("dir/copy"))
	}
	check(t, remove(w, "dir/copy"))
	dressed := w.now("dir/a")
	dressed.Mode, dressed.Mtime = 0o600, 7_000_000_008
	apply(Change{Path: "dir/a", Verb: Dress, Item: dressed})
	if got := w.now("dir/a"); got.Mode != 0o600 || got.Mtime != 7_000_000_008 {
		t.Errorf("%+v", got)
	}
	apply(Change{Path: "dir/link", Verb: Make, Item: as(Link, 0o777, "elsewhere")}) // over the old one
	apply(Change{Path: "dir/pipe", Verb: Make, Item: as(Link, 0o777, "a link now")})
	if err := remove(w, "dir"); !errors.Is(err, ErrChanged) {
		t.Errorf("a folder with something in it: %v", err)
	}
	for _, name := range []string{"dir/a", "dir/b", "dir/link", "dir/pipe", "dir", "not-there"} {
		check(t, remove(w, name))
	}
	w.until("nothing", func(items map[string]Item) bool { return len(items) == 1 })
}

func remove(w *world, name string) error {
	_, err := w.Apply(context.Background(), Change{Path: name, Verb: Remove, Expect: w.now(name)})
	return err
}

func TestNothingOutsideIsReadOrWritten(t *testing.T) {
	outside := t.TempDir()
	check(t, os.WriteFile(outside+"/secret", []byte("mine"), 0o644))
	w := start(t, Settings{Exclude: []string{"hidden"}}, func(root string) {
		check(t, os.Symlink(outside, root+"/up"))
		check(t, os.Mkdir(root+"/hidden", 0o755))
	})
	for _, name := range []string{"../x", "/x", "up/x", "a//b", "a/../b", "", "hidden/x", "hidden", Part + "x", "a\x00b"} {
		if err := w.put(name, "evil", Item{}); err == nil {
			t.Errorf("%q was written", name)
		}
		if _, err := w.Apply(context.Background(), Change{Path: name, Verb: Make, Item: Item{Kind: Dir}}); err == nil {
			t.Errorf("%q was made", name)
		}
	}
	for _, name := range []string{"up/secret", "../" + filepath.Base(outside) + "/secret", "up", "."} {
		if _, _, err := w.Digest(context.Background(), name); err == nil {
			t.Errorf("%q was read", name)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

func TestWithoutPermissionNothingIsWritten(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	check(t, os.WriteFile(root+"/"+Part+"left", nil, 0o644))
	v, err := Open(root, Settings{})
	check(t, err)
	defer v.Close()
	check(t, v.Rescan(context.Background()))
	if _, err := v.Stage(Change{Path: "a"}); !errors.Is(err, unix.EROFS) {
		t.Errorf("a file: %v", err)
	}
	if _, err := v.Apply(context.Background(), Change{Path: "a", Verb: Make, Item: Item{Kind: Dir}}); !errors.Is(err, unix.EROFS) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := os.Lstat(root + "/" + Part + "left"); err != nil {
		t.Error("it has cleaned up")
	}
}

// page is a Sink that keeps what it gets.
type page struct {
	strings.Builder
	begun  int
	during func(written int)
}

func (p *page) Begin(Item) error { p.Reset(); p.begun++; return nil }

func (p *page) Keep(bytes int64) error {
	_, err := p.WriteString(strings.Repeat("=", int(bytes)))
	return err
}

func (p *page) Write(data []byte) (int, error) {
	n, err := p.Builder.Write(data)
	if p.during != nil {
		p.during(p.Len())
	}
	return n, err
}

func TestAFileThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	w := start(t, Settings{}, nil)
	before, after := strings.Repeat("a", 200<<10), strings.Repeat("b", 200<<10)
	w.write("a", before)
	got := &page{}
	got.during = func(int) {
		if got.begun == 1 {
			w.write("a", after)
		}
	}
	item, digest, err := w.Fetch(context.Background(), "a", nil, got)
	check(t, err)
	if got.String() != after || got.begun != 2 || item != w.now("a") {
		t.Errorf("%d bytes after %d beginnings", got.Len(), got.begun)
	}
	if _, again, err := w.Digest(context.Background(), "a"); err != nil || again != digest {
		t.Errorf("another digest, %v", err)
	}
	got = &page{}
	got.during = func(int) { w.write("a", strings.Repeat(time.Now().String(), 6<<10)) }
	if _, _, err := w.Fetch(context.Background(), "a", nil, got); !errors.Is(err, ErrBusy) {
		t.Errorf("one that never holds still: %v", err)
	}
}

func TestAFileThatGrowsIsReadAsItWas(t *testing.T) {
	w := start(t, Settings{}, nil)
	text := strings.Repeat("line\n", 40<<10)
	w.write("a", text)
	log, err := os.OpenFile(w.path("a"), os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	defer log.Close()
	got := &page{during: func(int) { _, _ = log.WriteString("more\n") }}
	item, _, err := w.Fetch(context.Background(), "a", nil, got)
	check(t, err)
	if got.String() != text || item.Ctime != 0 || item.Size != int64(len(text)) {
		t.Errorf("%d bytes of %d, %+v", got.Len(), len(text), item)
	}
}

func TestOnlyTheBlocksThatAreOthersAreRead(t *testing.T) {
	w := start(t, Settings{}, nil)
	w.write("a", strings.Repeat("a", 3*chunk))
	have, err := w.Blocks(context.Background(), "a")
	check(t, err)
	w.write("b", strings.Repeat("a", chunk)+strings.Repeat("b", chunk)+strings.Repeat("a", chunk)+"end")
	got := &page{}
	_, digest, err := w.Fetch(context.Background(), "b", have, got)
	check(t, err)
	if want := strings.Repeat("=", chunk) + strings.Repeat("b", chunk) + strings.Repeat("=", chunk) + "end"; got.String() != want {
		t.Errorf("%d bytes", got.Len())
	}
	staged, err := w.Stage(Change{Path: "a", Expect: w.now("a")})
	check(t, err)
	_, _, err = w.Fetch(context.Background(), "b", have, staged)
	check(t, err)
	_, err = staged.Commit(context.Background(), Item{Kind: File, Mode: 0o600, UID: NoOwner})
	check(t, err)
	if _, again, err := w.Digest(context.Background(), "a"); err != nil || again != digest {
		t.Errorf("another file than b: %v", err)
	}
	if err := w.shorter(have); !errors.Is(err, ErrChanged) {
		t.Errorf("kept of a file that has become shorter: %v", err)
	}
}

func TestHolesStayHoles(t *testing.T) {
	w := start(t, Settings{}, nil)
	staged, err := w.Stage(Change{Path: "a"})
	check(t, err)
	check(t, staged.Begin(Item{}))
	for _, part := range []string{"begin", strings.Repeat("\x00", chunk), strings.Repeat("\x00", 2), "end", strings.Repeat("\x00", chunk)} {
		_, err = io.WriteString(staged, part)
		check(t, err)
	}
	_, err = staged.Commit(context.Background(), Item{Kind: File, Mode: 0o600, UID: NoOwner})
	check(t, err)
	if want := "begin" + strings.Repeat("\x00", chunk+2) + "end" + strings.Repeat("\x00", chunk); w.read("a") != want {
		t.Errorf("%d bytes", len(w.read("a")))
	}
	var st unix.Stat_t
	check(t, unix.Stat(w.path("a"), &st))
	if st.Blocks*512 >= chunk {
		t.Errorf("%d bytes on the disk", st.Blocks*512)
	}
}

// shorter fetches into a file that has not what it had.
func (w *world) shorter(have []Digest) error {
	w.write("a", "short")
	staged, err := w.Stage(Change{Path: "a", Expect: w.now("a")})
	check(w.t, err)
	defer staged.Drop()
	_, _, err = w.Fetch(context.Background(), "b", have, staged)
	return err
}

func TestTheIdentityIsAnotherOneForAnotherFolder(t *testing.T) {
	one, other := start(t, Settings{}, nil), start(t, Settings{}, nil)
	first, err := one.Identity()
	check(t, err)
	second, err := other.Identity()
	check(t, err)
	again, err := one.Identity()
	check(t, err)
	if first == second || first != again || first == "" {
		t.Errorf("%q, %q, %q", first, second, again)
	}
}

func TestMountinfoHasEscapes(t *testing.T) {
	if got := unescape(`/a\040b\134c`); got != `/a b\c` {
		t.Error(got)
	}
}
