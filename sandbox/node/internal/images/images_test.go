package images

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestNormalise(t *testing.T) {
	for given, want := range map[string]string{
		"debian":                  "docker.io/library/debian:latest",
		"debian:12":               "docker.io/library/debian:12",
		"devcluster/wordpress:1":  "docker.io/devcluster/wordpress:1",
		"localhost/x":             "localhost/x:latest",
		"localhost:5000/x:2":      "localhost:5000/x:2",
		"ghcr.io/a/b":             "ghcr.io/a/b:latest",
		"devcluster/x@sha256:abc": "docker.io/devcluster/x@sha256:abc",
	} {
		if got := Normalise(given); got != want {
			t.Errorf("Normalise(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestListAndSeen(t *testing.T) {
	found := parseList("REF TYPE DIGEST SIZE PLATFORMS LABELS\n" +
		"docker.io/a:1 application/x sha256:m1 1 MiB linux/amd64 x\n" +
		"sha256:c1 application/x sha256:m1 1 MiB linux/amd64 x\n")
	if len(found) != 2 || found["docker.io/a:1"] != "sha256:m1" {
		t.Fatalf("found %v", found)
	}
	if !seen(nil, found) {
		t.Error("an image with its id is not seen")
	}
	delete(found, "sha256:c1")
	if seen(nil, found) {
		t.Error("an image without its id is seen")
	}
	if !seen(found, found) {
		t.Error("an old image counts")
	}
}

func TestAnArchiveEndsByItself(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(program, bytes.Repeat([]byte("x"), 5000), 0o755); err != nil {
		t.Fatal(err)
	}
	reader, writer := io.Pipe() // stays open behind the archive
	go func() { _ = WriteArchive(writer, "sandbox.local/pause:1", program) }()
	var out bytes.Buffer
	if err := copyArchive(&out, reader); err != nil {
		t.Fatal(err)
	}
	var names []string
	for archive := tar.NewReader(&out); ; {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
	if len(names) != 3 || names[2] != "manifest.json" {
		t.Errorf("names %q", names)
	}
}

func TestWhatIsNoArchiveIsRefused(t *testing.T) {
	if err := copyArchive(io.Discard, bytes.NewReader(bytes.Repeat([]byte("no"), 600))); err == nil {
		t.Error("accepted")
	}
}
