package images

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// criTimeout bounds the wait for kubelet's view: a large image on a busy machine takes tens of seconds.
const criTimeout = 2 * time.Minute

// Load streams an archive of `docker save` into containerd.  It reads up to the end that the archive itself
// marks, so that whoever sends it need not close the stream (not every way to a container can half-close).
func Load(ctx context.Context, in io.Reader) error {
	before, err := list(ctx)
	if err != nil {
		return err
	}
	command := ctr(ctx, "images", "import", "-")
	stdin, err := command.StdinPipe()
	if err != nil {
		return err
	}
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		return err
	}
	copyErr := copyArchive(stdin, in)
	_ = stdin.Close()
	if err := command.Wait(); err != nil {
		return fmt.Errorf("ctr images import: %w: %s", err, strings.TrimSpace(said.String()))
	}
	if copyErr != nil {
		return copyErr
	}
	return awaitCRI(ctx, before)
}

// LoadProgram makes a program into the image called name.
func LoadProgram(ctx context.Context, name, program string) error {
	reader, writer := io.Pipe()
	go func() { _ = writer.CloseWithError(WriteArchive(writer, name, program)) }()
	return Load(ctx, reader)
}

// Has says whether the node has image id (`sha256:…`, the engine's name of it) under reference.
func Has(ctx context.Context, reference, id string) (bool, error) {
	found, err := list(ctx)
	if err != nil {
		return false, err
	}
	digest, known := found[Normalise(reference)]
	return known && (digest == id || digest == found[id]), nil
}

// Normalise is a reference as containerd writes it: with a registry, `library/`, and a tag.
func Normalise(reference string) string {
	first, _, slash := strings.Cut(reference, "/")
	switch {
	case !slash:
		reference = "docker.io/library/" + reference
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		reference = "docker.io/" + reference
	}
	if last := reference[strings.LastIndex(reference, "/"):]; !strings.ContainsAny(last, ":@") {
		reference += ":latest"
	}
	return reference
}

// copyArchive copies one tar archive and what pads it within the same read.
func copyArchive(out io.Writer, in io.Reader) error {
	tee := bufio.NewReaderSize(io.TeeReader(in, out), 1<<20)
	archive := tar.NewReader(tee)
	for {
		if _, err := archive.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("not an archive of `docker save`: %w", err)
		}
	}
}

// awaitCRI waits until kubelet's view of containerd has every image: it follows by events, a little later,
// and a pod made before then would try to pull.  The view's sign is a reference `sha256:…` for each image.
func awaitCRI(ctx context.Context, before map[string]string) error {
	waiting, cancel := context.WithTimeout(ctx, criTimeout)
	defer cancel()
	for {
		after, err := list(ctx)
		if err != nil {
			return err
		}
		if seen(before, after) {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-waiting.Done():
			return fmt.Errorf("containerd has the image, but after %v kubelet does not see it: %w", criTimeout, waiting.Err())
		}
	}
}

func seen(before, after map[string]string) bool {
	ids := map[string]bool{}
	for name, digest := range after {
		if strings.HasPrefix(name, "sha256:") {
			ids[digest] = true
		}
	}
	for name, digest := range after {
		if before[name] != digest && !ids[digest] {
			return false
		}
	}
	return true
}

// list maps each reference that containerd has to its digest.
func list(ctx context.Context) (map[string]string, error) {
	text, err := ctr(ctx, "images", "list").Output()
	if err != nil {
		return nil, fmt.Errorf("ctr images list: %w", err)
	}
	return parseList(string(text)), nil
}

func parseList(text string) map[string]string {
	found := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] != "REF" {
			found[fields[0]] = fields[2]
		}
	}
	return found
}

func ctr(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ctr", append([]string{"--namespace", "k8s.io"}, args...)...)
}
