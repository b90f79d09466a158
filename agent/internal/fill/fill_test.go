package fill

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"devcluster/agent/internal/files"
)

var old = time.Unix(1_600_000_000, 123_456_789)

func packed(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, header := range headers {
		text := header.PAXRecords["comment"]
		header.PAXRecords, header.Format = nil, tar.FormatPAX
		header.Size, header.Uid, header.Gid = int64(len(text)), os.Getuid(), os.Getgid()
		if header.ModTime.IsZero() {
			header.ModTime = old
		}
		if err := writer.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func file(name, text string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o640, PAXRecords: map[string]string{"comment": text}}
}

func entries(t *testing.T, root string) []files.Entry {
	t.Helper()
	var all []files.Entry
	for entry, err := range files.Scan(root, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry)
	}
	return all
}

func TestApplyGivesTheTreeThatWasPacked(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	makeTree(t, from)
	var stream bytes.Buffer
	if err := files.Pack(&stream, from, nil, nil); err != nil {
		t.Fatal(err)
	}
	// What is in the way is replaced: a directory by a file, a link by a directory, a file by a link.
	for _, err := range []error{
		os.MkdirAll(filepath.Join(to, "plain/sub"), 0o755),
		os.Symlink("/etc", filepath.Join(to, "shut")),
		os.WriteFile(filepath.Join(to, "link"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Apply(to, &stream); err != nil {
		t.Fatal(err)
	}
	if want, got := entries(t, from), entries(t, to); !slices.Equal(want, got) {
		t.Errorf("want %+v\ngot  %+v", want, got)
	}
}

func makeTree(t *testing.T, root string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(root, name) }
	for _, err := range []error{
		os.WriteFile(in("plain"), []byte("text"), 0o600), os.Chmod(in("plain"), os.ModeSetuid|0o755),
		os.Link(in("plain"), in("same")), os.Symlink("../../outside", in("link")), syscall.Mkfifo(in("pipe"), 0o622),
		os.MkdirAll(in("shut/deep"), 0o755), os.WriteFile(in("shut/deep/x"), nil, 0o444),
		os.Chtimes(in("shut/deep"), old, old), os.Chmod(in("shut"), os.ModeSticky|0o555), os.Chtimes(in("shut"), old, old),
		os.Chtimes(root, old, old),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheLaterEntryOfANameWins(t *testing.T) {
	root := t.TempDir()
	if _, err := Apply(root, packed(t, file("a", "first"), file("b", "b"), file("a", "second"))); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(root, "a")); err != nil || string(text) != "second" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestAFileIsReplacedNotWrittenThrough(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	for _, err := range []error{
		os.WriteFile(outside, []byte("mine"), 0o600), os.Link(outside, filepath.Join(root, "hard")),
		os.Symlink(outside, filepath.Join(root, "soft")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Apply(root, packed(t, file("hard", "new"), file("soft", "new"))); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "mine" {
		t.Errorf("outside is %q, %v", text, err)
	}
}

func TestNothingLeavesTheRoot(t *testing.T) {
	parent := t.TempDir()
	root := filepath.Join(parent, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	link := tar.Header{Name: "up", Typeflag: tar.TypeSymlink, Linkname: ".."}
	hard := tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "../secret"}
	for _, stream := range []*bytes.Buffer{
		packed(t, file("../evil", "x")), packed(t, file("/evil", "x")), packed(t, link, file("up/evil", "x")), packed(t, hard),
	} {
		if _, err := Apply(root, stream); err == nil {
			t.Error("expected an error")
		}
	}
	for _, name := range []string{"../secret", ".", "/"} {
		if err := Delete(root, []string{name}); err == nil {
			t.Errorf("delete %q: expected an error", name)
		}
	}
	left, err := os.ReadDir(parent)
	if err != nil || len(left) != 1 {
		t.Errorf("beside the root: %v, %v", left, err)
	}
}

func TestADirectoryThatIsNotNamedKeepsItsTime(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(folder, old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(root, packed(t, file("folder/a", "x"))); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(folder); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("time is %v, %v", info.ModTime(), err)
	}
}

func TestABrokenStreamIsAnError(t *testing.T) {
	stream := packed(t, file("a", strings.Repeat("x", 4096)))
	stream.Truncate(2048)
	if _, err := Apply(t.TempDir(), stream); err == nil {
		t.Error("expected an error")
	}
}

func TestDelete(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/b/mine", "x"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Delete(root, []string{"x", "not-there", "a/b/c", "a/b", "a"}); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, root); len(left) != 4 { // what was not named stays, and what it is in
		t.Errorf("left: %+v", left)
	}
	if err := Delete(root, []string{"a/b/mine", "a/b", "a"}); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, root); len(left) != 1 {
		t.Errorf("left: %+v", left)
	}
}
