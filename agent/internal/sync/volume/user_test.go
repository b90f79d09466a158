package volume

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// TestAsAnotherUser runs TestNobody as one, for what root may do is no test.
func TestAsAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	root := t.TempDir()
	for name, mode := range map[string]os.FileMode{"theirs": 0o644, "open": 0o666, "secret": 0o600, "closed/x": 0o644, "mine": 0o600} {
		check(t, os.MkdirAll(root+"/closed", 0o700))
		check(t, os.WriteFile(root+"/"+name, []byte(name), 0o600))
		check(t, os.Chmod(root+"/"+name, mode))
	}
	check(t, os.Chown(root+"/mine", nobody, nobody))
	check(t, os.Chmod(root, 0o777))
	check(t, os.Chmod(filepath.Dir(root), 0o755))
	run := exec.Command("/proc/self/exe", "-test.run", "TestNobody", "-test.v")
	run.Env = append(os.Environ(), "VOLUME_ROOT="+root)
	run.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNobody(t *testing.T) {
	root := os.Getenv("VOLUME_ROOT")
	if root == "" {
		t.Skip("part of TestAsAnotherUser")
	}
	w := &world{t: t, root: root, items: map[string]Item{}, news: make(chan struct{}, 1)}
	v, err := Open(root, Settings{Write: true, Tell: w.hear})
	check(t, err)
	w.Volume = v
	check(t, v.Rescan(context.Background()))
	if w.item("closed").Kind != Other || w.item("secret").Kind != File {
		t.Errorf("told %v", w.items)
	}
	if _, _, err := v.Digest(context.Background(), "secret"); !errors.Is(err, ErrChanged) || w.item("secret").Kind != Other {
		t.Errorf("what can't be read: %v", err)
	}
	put := func(name string, uid uint32) error {
		staged, err := v.Stage(Change{Path: name, Expect: w.now(name)})
		check(t, err)
		_, err = staged.Commit(context.Background(), Item{Kind: File, Mode: 0o640, UID: uid, GID: uid})
		return err
	}
	if err := put("theirs", nobody); !errors.Is(err, unix.EACCES) {
		t.Errorf("what could not be written: %v", err)
	}
	if err := put("open", 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("what would get another owner: %v", err)
	}
	check(t, put("mine", 33)) // it can't be given away, and stays
	check(t, put("new", 33))
	check(t, put("inherits", NoOwner))
	for _, name := range []string{"mine", "new", "inherits"} {
		if got := w.now(name); got.UID != nobody || got.Mode != 0o640 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if names, err := os.ReadDir(root); err != nil || len(names) != 7 {
		t.Errorf("%v, %v", names, err)
	}
}

func TestAUsersOwnFolderIsSharedWithTheApplication(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give files away")
	}
	const user, app = 1000, 33
	w := start(t, Settings{Share: &Share{user, user}}, func(root string) { check(t, os.Chown(root, app, user)) })
	staged, err := w.Stage(Change{Path: "theirs"})
	check(t, err)
	item, err := staged.Commit(context.Background(), Item{Kind: File, Mode: 0o640, UID: app, GID: app})
	check(t, err)
	if got := w.now("theirs"); got.UID != app || got.GID != user || got.Mode != 0o660 {
		t.Errorf("from the pod: %+v", got)
	}
	if item.UID != app || item.GID != NoOwner || item.Mode != 0o600 || item != w.item("theirs") {
		t.Errorf("told %+v, %+v", item, w.item("theirs"))
	}
	dir, err := w.Apply(context.Background(), Change{Path: "d", Verb: Make, Item: Item{Kind: Dir, Mode: 0o755, UID: app, GID: app}})
	check(t, err)
	if got := w.now("d"); got.Mode != 0o2775 || got.GID != user || dir.Mode != 0o755 {
		t.Errorf("a folder: %+v, told %+v", got, dir)
	}
	w.write("d/mine", "x")
	check(t, os.Chown(w.path("d/mine"), user, user))
	w.until("told as the application's", func(items map[string]Item) bool {
		return items["d/mine"].UID == app && items["d/mine"].Mode == 0o644
	})
	if got := w.now("d/mine"); got.UID != app || got.GID != user || got.Mode != 0o664 {
		t.Errorf("what the user made: %+v", got)
	}
	dressed := w.item("theirs")
	dressed.Mode = 0o755
	now, err := w.Apply(context.Background(), Change{Path: "theirs", Verb: Dress, Item: dressed, Expect: w.item("theirs")})
	check(t, err)
	if got := w.now("theirs"); got.Mode != 0o775 || now.Mode != 0o755 {
		t.Errorf("another mode: %+v, told %+v", got, now)
	}
}
