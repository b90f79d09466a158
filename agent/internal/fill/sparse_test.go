package fill

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"devcluster/agent/internal/files"
)

// sparse makes files that are larger than what is on disk: holes before, between and behind, and one hole alone.
func sparse(t *testing.T, root string) (names []string) {
	t.Helper()
	for name, pieces := range map[string][]files.Piece{
		"middle": {{Offset: 1 << 20, Length: 64 << 10}, {Offset: 8 << 20, Length: 200_001}},
		"ends":   {{Offset: 0, Length: 4096}, {Offset: 1<<27 - 4096, Length: 4096}},
		"empty":  {},
	} {
		file, err := os.Create(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range pieces {
			if _, err := file.WriteAt(bytes.Repeat([]byte{byte(piece.Length), 7}, int(piece.Length)/2), piece.Offset); err != nil {
				t.Fatal(err)
			}
		}
		if err := file.Truncate(1 << 27); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func onDisk(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}

func sumOf(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

func TestHolesStayHoles(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	names := sparse(t, from)
	if onDisk(t, filepath.Join(from, "empty")) > 1<<20 {
		t.Skip("this file system has no holes")
	}
	var stream bytes.Buffer
	if err := files.Pack(&stream, from, nil, nil); err != nil {
		t.Fatal(err)
	}
	if stream.Len() > 2<<20 {
		t.Errorf("%d bytes travel", stream.Len())
	}
	done, err := Apply(to, &stream)
	if err != nil || done.Bytes > 2<<20 {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, name := range names {
		if sumOf(t, filepath.Join(from, name)) != sumOf(t, filepath.Join(to, name)) {
			t.Errorf("%s is another file", name)
		}
		if size := onDisk(t, filepath.Join(to, name)); size > 1<<20 {
			t.Errorf("%s takes %d bytes here", name, size)
		}
	}
	for _, entry := range entries(t, from)[1:] {
		if entry.Size != 1<<27 || entry.Disk == nil || *entry.Disk > 1<<20 {
			t.Errorf("told %+v", entry)
		}
	}
}

func TestPiecesBeyondTheFileAreRefused(t *testing.T) {
	text := make([]byte, 24)
	text[7], text[8] = 1, 0x7f // one piece, far away
	header := &tar.Header{
		Name: "x", Typeflag: tar.TypeReg, Size: 24, Format: tar.FormatPAX,
		PAXRecords: map[string]string{files.SparseRecord: "100"},
	}
	var stream bytes.Buffer
	writer := tar.NewWriter(&stream)
	_ = writer.WriteHeader(header)
	_, _ = writer.Write(text)
	_ = writer.Close()
	if _, err := Apply(t.TempDir(), &stream); err == nil {
		t.Error("taken")
	}
}

func TestANameMayBeTakenBack(t *testing.T) {
	root := t.TempDir()
	stream := packed(t, file("a", "first"), file("b", "b"))
	stream.Truncate(stream.Len() - 1024) // without the end
	writer := tar.NewWriter(stream)
	back := &tar.Header{Name: "a", Typeflag: tar.TypeReg, Format: tar.FormatPAX, PAXRecords: map[string]string{files.LeftOutRecord: "unreadable"}}
	if err := writer.WriteHeader(back); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	if _, err := Apply(root, stream); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(root); len(left) != 1 || left[0].Name() != "b" {
		t.Errorf("%v", left)
	}
}
