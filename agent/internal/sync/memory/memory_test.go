package memory

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
)

func base(mode uint32) *decide.Base {
	pod := volume.Item{Kind: volume.File, Mode: mode, UID: 33, Size: 1 << 40, Mtime: -5, Ctime: 7, Inode: 1 << 60, Names: 2}
	laptop := volume.Item{Kind: volume.Link, UID: volume.NoOwner, Link: "\xff/to"}
	return &decide.Base{Item: [2]volume.Item{pod, laptop}, Digest: volume.Digest{1, 2, 3}, Mine: mode%2 == 0}
}

func open(t *testing.T, path, laptop string) (*Memory, map[string]Known) {
	t.Helper()
	m, known, err := Open(path, laptop)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m, known
}

func TestWhatIsRememberedIsThereAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	m, known := open(t, path, "copy")
	if len(known) != 0 || m.Volume() != "" {
		t.Fatal(known)
	}
	coming := decide.Coming{To: decide.Laptop, Source: base(3).Item[0], Digest: volume.Digest{9}}
	m.Remember("a", base(1))
	m.Remember("\xff", base(2))
	m.Remember("gone", base(1))
	m.Remember("gone", nil)
	m.Remember("a", base(4))
	if err := m.Expect("a", coming); err != nil { // nobody closes it: the process was killed
		t.Fatal(err)
	}
	want := map[string]Known{"a": {Base: base(4), Coming: &coming}, "\xff": {Base: base(2)}}
	again, known := open(t, path, "copy")
	if !reflect.DeepEqual(known, want) {
		t.Errorf("%+v", known)
	}
	if err := again.Rewrite("volume", known); err != nil {
		t.Fatal(err)
	}
	third, known := open(t, path, "copy")
	if !reflect.DeepEqual(known, want) || third.Volume() != "volume" {
		t.Errorf("%+v of %q", known, third.Volume())
	}
	if _, known := open(t, path, "another copy"); len(known) != 0 {
		t.Errorf("of another copy: %+v", known)
	}
}

func TestWhatIsNotWholeWasNeverWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	m, _ := open(t, path, "copy")
	m.Remember("a", base(1))
	m.Remember("b", base(2))
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := append([]byte(nil), whole...)
	spoilt[len(spoilt)-3] ^= 1
	for size, text := range map[int][]byte{1: whole[:len(whole)-5], 2: spoilt} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, known := open(t, path, "copy"); len(known) != 1 || known["a"].Base == nil {
			t.Errorf("%d: %+v", size, known)
		}
	}
	for _, text := range []string{"", "x", "something else that is long enough to be read"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, known := open(t, path, "copy"); len(known) != 0 {
			t.Errorf("%q: %+v", text, known)
		}
	}
}

func TestItIsWrittenAnewOnceMostIsOutdated(t *testing.T) {
	m, _ := open(t, filepath.Join(t.TempDir(), "state"), "copy")
	for range slack + 10 {
		m.Remember("a", base(1))
	}
	if !m.Outdated(1) || m.Outdated(1000) {
		t.Error(m.written)
	}
}
