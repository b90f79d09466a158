package fill

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/files"
)

// swap is what kubelet leaves when a ConfigMap changes, in the order in which it does so.
func swap(t *testing.T) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, header := range []tar.Header{
		{Name: "..new/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "..new/a", Typeflag: tar.TypeReg, Mode: 0o640, Size: 3},
		{Name: "..data", Typeflag: tar.TypeSymlink, Linkname: "..new"},
		{Name: "..old/a", Typeflag: tar.TypeReg, PAXRecords: map[string]string{files.LeftOutRecord: "gone"}},
		{Name: "..old", Typeflag: tar.TypeReg, PAXRecords: map[string]string{files.LeftOutRecord: "gone"}},
	} {
		header.Format, header.Uid, header.Gid, header.ModTime = tar.FormatPAX, os.Getuid(), os.Getgid(), old
		must(t, writer.WriteHeader(&header))
		if header.Size > 0 {
			_, err := writer.Write([]byte("new"))
			must(t, err)
		}
	}
	must(t, writer.Close())
	return &out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// watched tells what a program sees that watches a folder, as kubelet's own swaps look to it.
func watched(t *testing.T, folder string, change func()) []string {
	t.Helper()
	watcher, err := unix.InotifyInit1(unix.IN_NONBLOCK)
	must(t, err)
	defer func() { _ = unix.Close(watcher) }()
	_, err = unix.InotifyAddWatch(watcher, folder, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVE)
	must(t, err)
	change()
	buffer := make([]byte, 64<<10)
	size, err := unix.Read(watcher, buffer)
	must(t, err)
	kinds := map[uint32]string{unix.IN_CREATE: "+", unix.IN_DELETE: "-", unix.IN_MOVED_FROM: "from ", unix.IN_MOVED_TO: "to "}
	var seen []string
	for at := 0; at < size; {
		event := (*unix.InotifyEvent)(unsafe.Pointer(&buffer[at]))
		name := strings.TrimRight(string(buffer[at+unix.SizeofInotifyEvent:][:event.Len]), "\x00")
		seen = append(seen, kinds[event.Mask&^unix.IN_ISDIR]+name)
		at += unix.SizeofInotifyEvent + int(event.Len)
	}
	return seen
}

func TestASwapLooksAsKubeletsDoes(t *testing.T) {
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "..old"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "..old/a"), []byte("old"), 0o640))
	must(t, os.Symlink("..old", filepath.Join(root, "..data")))
	must(t, os.Symlink("killed", filepath.Join(root, "..data_tmp")))
	seen := watched(t, root, func() {
		_, err := Apply(root, swap(t))
		must(t, err)
	})
	want := []string{"+..new", "-..data_tmp", "+..data_tmp", "from ..data_tmp", "to ..data", "-..old"}
	if !slices.Equal(seen, want) {
		t.Errorf("want %q\ngot  %q", want, seen)
	}
	if text, err := os.ReadFile(filepath.Join(root, "..data/a")); string(text) != "new" {
		t.Errorf("%q, %v", text, err)
	}
}

// A reader that is not the owner may go through a new folder before the last entry has come.
func TestANewFolderIsUsableAtOnce(t *testing.T) {
	root := t.TempDir()
	stream := swap(t).Bytes()
	_, err := Apply(root, bytes.NewReader(stream[:len(stream)-1024-300])) // broken off in the middle
	if err == nil {
		t.Fatal("the stream was whole")
	}
	info, err := os.Stat(filepath.Join(root, "..new"))
	must(t, err)
	if info.Mode().Perm() != 0o755 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}
