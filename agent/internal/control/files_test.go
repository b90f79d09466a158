package control

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func mount(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	root := filepath.Join(base, "mount")
	for name, content := range map[string]string{"secret": "outside", "mount/a.txt": "inside", "mount/sub/b.txt": "below", "mount-too/c": "neighbour"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"up": "../secret", "abs": filepath.Join(base, "secret"), "dir": "..", "in": "a.txt"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// files asks the subsystem and gives what came, the reason and the status.
func (s served) files(t *testing.T, request string) (out, reason string, status uint32) {
	t.Helper()
	channel, requests, err := s.dial(t).OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer channel.Close()
	if ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"files"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	_, _ = io.WriteString(channel, request+"\n")
	told := make(chan string)
	go func() {
		reason, _ := io.ReadAll(channel.Stderr())
		told <- string(reason)
	}()
	got, _ := io.ReadAll(channel)
	reason, status = <-told, 99
	for request := range requests {
		if request.Type == "exit-status" {
			status = binary.BigEndian.Uint32(request.Payload)
		}
	}
	return string(got), reason, status
}

func TestFilesScan(t *testing.T) {
	root := mount(t)
	out, reason, status := serve(t, root).files(t, `{"do":"scan","root":"`+root+`","exclude":["sub/**"]}`)
	names := map[string]string{}
	for line := range strings.Lines(out) {
		var entry struct{ Path, Type string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		names[entry.Path] = entry.Type
	}
	if len(names) != 7 || names["."] != "d" || names["up"] != "l" || names["a.txt"] != "f" || names["sub/b.txt"] != "" || status != 0 {
		t.Errorf("%v, status %d %s", names, status, reason)
	}
}

func TestFilesFollowsTheLinksToAMount(t *testing.T) {
	base := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(base, "etc/real"), 0o755),
		os.WriteFile(filepath.Join(base, "etc/real/app.conf"), []byte("mounted"), 0o644),
		os.Symlink(filepath.Join(base, "etc/real"), filepath.Join(base, "etc/enabled")),
		os.Symlink("enabled/app.conf", filepath.Join(base, "etc/link")),
		os.Symlink(filepath.Join(base, "etc/link"), filepath.Join(base, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	mounted := serve(t, filepath.Join(base, "etc/real/app.conf"))
	for _, mount := range []string{"link", "etc/link", "etc/enabled/app.conf"} {
		root := filepath.Join(base, mount)
		out, reason, status := mounted.files(t, `{"do":"scan","root":"`+root+`"}`)
		if !strings.Contains(out, `"path":".","type":"f"`) || status != 0 {
			t.Errorf("%s: scan %s, status %d %s", mount, out, status, reason)
		}
		out, reason, status = mounted.files(t, `{"do":"pack","root":"`+root+`"}`)
		if !strings.Contains(out, "mounted") || status != 0 {
			t.Errorf("%s: %d bytes, status %d %s", mount, len(out), status, reason)
		}
	}
}

func TestFilesPacksWhatHasNoUTF8Name(t *testing.T) {
	root := mount(t)
	if err := os.WriteFile(filepath.Join(root, "caf\xe9"), []byte("coffee"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, reason, status := serve(t, root).files(t, `{"do":"pack","root":"`+root+`","paths":["caf\udce9"]}`)
	if status != 0 || !strings.Contains(out, "coffee") || strings.Contains(out, "inside") {
		t.Errorf("%d bytes, status %d %s", len(out), status, reason)
	}
}

func TestFilesRefuses(t *testing.T) {
	root := mount(t)
	s := serve(t, root)
	for _, request := range []string{
		`{"do":"scan","root":"/etc"}`,
		`{"do":"scan","root":"` + root + `/dir"}`,
		`{"do":"scan","root":"` + root + `/../mount-too"}`,
		`{"do":"pack","root":"` + root + `","paths":["dir/secret"]}`,
		`{"do":"pack","root":"` + root + `","exclude":["["]}`,
		`{"do":"erase","root":"` + root + `"}`,
		`{`,
	} {
		out, reason, status := s.files(t, request)
		if strings.Contains(out, "outside") || strings.Contains(out, "neighbour") || reason == "" || status != 1 {
			t.Errorf("%s: %d bytes, status %d, %q", request, len(out), status, reason)
		}
	}
}
