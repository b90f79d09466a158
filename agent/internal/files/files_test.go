package files

import (
	"archive/tar"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func build(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, "wp-config.php", "config")
	write(t, root, "wp-content/a.txt", "hello world\n")
	write(t, root, "wp-content/cache/x/y", "cached")
	write(t, root, "bad-\xff-name", "bytes")
	must(t, os.Chmod(filepath.Join(root, "wp-config.php"), 0o640))
	must(t, os.Chmod(filepath.Join(root, "wp-content/a.txt"), 0o755|os.ModeSetuid))
	must(t, os.Link(filepath.Join(root, "wp-content/a.txt"), filepath.Join(root, "wp-content/b.txt")))
	must(t, os.Symlink("../wp-config.php", filepath.Join(root, "wp-content/link")))
	must(t, os.Symlink("/etc", filepath.Join(root, "outside")))
	must(t, syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	stamp := time.Unix(1_700_000_000, 123_456_789)
	must(t, os.Chtimes(filepath.Join(root, "wp-config.php"), stamp, stamp))
	return root
}

func write(t testing.TB, root, name, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
	must(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o644))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func scan(t testing.TB, root string, exclude ...string) map[string]Entry {
	t.Helper()
	found := map[string]Entry{}
	for entry, err := range Scan(root, exclude) {
		must(t, err)
		found[entry.Name()] = entry
	}
	return found
}

func TestScanTellsEveryKind(t *testing.T) {
	found := scan(t, build(t))
	kinds := map[string]string{
		".": "d", "wp-content": "d", "wp-config.php": "f", "wp-content/a.txt": "f", "wp-content/b.txt": "h",
		"wp-content/link": "l", "outside": "l", "pipe": "p", "bad-\xff-name": "f",
	}
	for name, kind := range kinds {
		if found[name].Type != kind {
			t.Errorf("%q is %q, not %q", name, found[name].Type, kind)
		}
	}
	if e := found["wp-config.php"]; e.Mode != 0o640 || e.MtimeNS != 1_700_000_000_123_456_789 || e.Size != 6 {
		t.Errorf("%+v", e)
	}
	if e := found["wp-content/a.txt"]; e.Mode != 0o4755 {
		t.Errorf("setuid is lost: %o", e.Mode)
	}
	if e := found["wp-content/b.txt"]; e.Link != "wp-content/a.txt" {
		t.Errorf("%+v", e)
	}
	if e := found["bad-\xff-name"]; e.Path != "" || e.Path64 != "YmFkLf8tbmFtZQ==" {
		t.Errorf("%+v", e)
	}
	if _, followed := found["outside/passwd"]; followed {
		t.Error("a link was followed")
	}
}

func TestExclude(t *testing.T) {
	root := build(t)
	tests := []struct {
		pattern string
		gone    []string
		stays   []string
	}{
		{"wp-content/cache/**", []string{"wp-content/cache/x", "wp-content/cache/x/y"}, []string{"wp-content/cache"}},
		{"wp-content/cache", []string{"wp-content/cache", "wp-content/cache/x/y"}, []string{"wp-content/a.txt"}},
		{"**/*.txt", []string{"wp-content/a.txt", "wp-content/b.txt"}, []string{"wp-config.php"}},
		{"**/cache/**", []string{"wp-content/cache/x"}, []string{"wp-content/cache"}},
		{"*.php", []string{"wp-config.php"}, []string{"wp-content/a.txt"}},
		{"/wp-content/*.txt", []string{"wp-content/a.txt"}, []string{"wp-content/link"}},
	}
	for _, test := range tests {
		found := scan(t, root, test.pattern)
		for _, name := range test.gone {
			if _, there := found[name]; there {
				t.Errorf("%s leaves %s", test.pattern, name)
			}
		}
		for _, name := range test.stays {
			if _, there := found[name]; !there {
				t.Errorf("%s takes %s", test.pattern, name)
			}
		}
	}
	for _, err := range Scan(root, []string{"[a"}) {
		if err == nil {
			t.Error("a pattern without an end was taken")
		}
	}
}

func unpack(t testing.TB, archive []byte) (headers map[string]*tar.Header, contents map[string]string) {
	t.Helper()
	headers, contents = map[string]*tar.Header{}, map[string]string{}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return headers, contents
		}
		must(t, err)
		content, err := io.ReadAll(reader)
		must(t, err)
		headers[header.Name], contents[header.Name] = header, string(content)
	}
}

func TestPackKeepsWhatScanTells(t *testing.T) {
	root := build(t)
	var archive bytes.Buffer
	must(t, Pack(&archive, root, []string{"**/cache/**"}, nil))
	headers, contents := unpack(t, archive.Bytes())
	for name, entry := range scan(t, root, "**/cache/**") {
		key := name
		if entry.Type == "d" {
			key += "/"
		}
		header := headers[key]
		if header == nil {
			t.Errorf("%q is missing", name)
			continue
		}
		got := Entry{Mode: uint32(header.Mode), UID: uint32(header.Uid), GID: uint32(header.Gid), MtimeNS: header.ModTime.UnixNano(), link: header.Linkname}
		want := Entry{Mode: entry.Mode, UID: entry.UID, GID: entry.GID, MtimeNS: entry.MtimeNS, link: entry.link}
		if !reflect.DeepEqual(got, want) || header.Typeflag != kinds[entry.Type] {
			t.Errorf("%q: %+v, scanned %+v", name, got, want)
		}
		if header.Uname != "" || header.Gname != "" {
			t.Errorf("%q has an owner by name", name)
		}
	}
	if contents["wp-content/a.txt"] != "hello world\n" || contents["bad-\xff-name"] != "bytes" {
		t.Errorf("contents %q", contents)
	}
}

func TestPackOfSomePaths(t *testing.T) {
	root := build(t)
	var archive bytes.Buffer
	must(t, Pack(&archive, root, nil, []string{"wp-content/cache", "gone", "wp-config.php"}))
	headers, _ := unpack(t, archive.Bytes())
	if len(headers) != 4 || headers["wp-content/cache/x/y"] == nil || headers["wp-config.php"] == nil {
		t.Errorf("%v", headers)
	}
}

func TestARootThatIsAFile(t *testing.T) {
	root := build(t)
	found := scan(t, root+"/wp-config.php")
	if len(found) != 1 || found["."].Type != "f" || found["."].Size != 6 {
		t.Errorf("%+v", found)
	}
	var archive bytes.Buffer
	must(t, Pack(&archive, root+"/wp-config.php", nil, []string{".", "wp-content"}))
	if headers, contents := unpack(t, archive.Bytes()); len(headers) != 1 || contents["."] != "config" {
		t.Errorf("%v", headers)
	}
}

func TestPackLeavesTheRootByNoPath(t *testing.T) {
	base := t.TempDir()
	write(t, base, "secret", "classified")
	root := filepath.Join(base, "root")
	must(t, os.Mkdir(root, 0o755))
	must(t, os.Symlink("..", filepath.Join(root, "up")))
	for _, name := range []string{"../secret", "up/secret", "/etc/hostname", "up/../secret"} {
		var archive bytes.Buffer
		err := Pack(&archive, root, nil, []string{name})
		if name != "up/../secret" && err == nil { // which is the root's own "secret", and absent
			t.Errorf("%s was taken", name)
		}
		if bytes.Contains(archive.Bytes(), []byte("classified")) {
			t.Errorf("%s was read", name)
		}
	}
}

// growing writes to a file while it is packed, at a moment that is certain:
// when its header has gone out.
type growing struct {
	bytes.Buffer
	path string
	once bool
}

func (g *growing) Write(b []byte) (int, error) {
	if !g.once && bytes.Contains(b, []byte("log.txt")) {
		g.once = true
		if err := os.WriteFile(g.path, []byte("and now longer"), 0o644); err != nil {
			return 0, err
		}
	}
	return g.Buffer.Write(b)
}

func TestAChangedFileComesAgain(t *testing.T) {
	for name, first := range map[string]string{"grows": "short", "shrinks": strings.Repeat("long", 100_000)} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, "log.txt", first)
			sink := &growing{path: filepath.Join(root, "log.txt")}
			must(t, Pack(sink, root, nil, nil))
			headers, contents := unpack(t, sink.Bytes())
			if contents["log.txt"] != "and now longer" || headers["log.txt"].Size != 14 {
				t.Errorf("the last log.txt has %d bytes", headers["log.txt"].Size)
			}
		})
	}
}

func TestSocketsAndDevicesAreNamedAndDoNotTravel(t *testing.T) {
	root := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(root, "app.sock"))
	must(t, err)
	defer listener.Close()
	want := map[string]string{"app.sock": "socket"}
	if syscall.Mknod(filepath.Join(root, "null"), syscall.S_IFCHR|0o666, 1<<8|3) == nil { // root's to make
		want["null"] = "device"
	}
	found := scan(t, root)
	for name, reason := range want {
		if found[name].LeftOut != reason {
			t.Errorf("%s: %+v", name, found[name])
		}
	}
	var archive bytes.Buffer
	must(t, Pack(&archive, root, nil, nil))
	if headers, _ := unpack(t, archive.Bytes()); len(headers) != 1 {
		t.Errorf("%v", headers)
	}
}

// shrinking cuts a file at each moment that its header has gone out.
type shrinking struct {
	bytes.Buffer
	path string
}

func (s *shrinking) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("log.txt")) {
		if info, err := os.Stat(s.path); err == nil {
			_ = os.Truncate(s.path, info.Size()-1000)
		}
	}
	return s.Buffer.Write(b)
}

func TestAFileThatNeverHoldsStillIsTakenBack(t *testing.T) {
	root := t.TempDir()
	write(t, root, "log.txt", strings.Repeat("long", 100_000))
	sink := &shrinking{path: filepath.Join(root, "log.txt")}
	must(t, Pack(sink, root, nil, nil))
	if headers, _ := unpack(t, sink.Bytes()); headers["log.txt"].PAXRecords[LeftOutRecord] != "unreadable" {
		t.Errorf("%+v", headers["log.txt"])
	}
}

// TestWhatIsNotReadableEndsNothing runs itself as nobody, who may read less.
func TestWhatIsNotReadableEndsNothing(t *testing.T) {
	if os.Getuid() == 0 {
		asNobody(t)
		return
	}
	root := t.TempDir()
	write(t, root, "lost+found/x", "x")
	write(t, root, "secret", "s")
	write(t, root, "z", "z")
	must(t, os.Chmod(filepath.Join(root, "lost+found"), 0))
	must(t, os.Chmod(filepath.Join(root, "secret"), 0))
	defer os.Chmod(filepath.Join(root, "lost+found"), 0o700)
	found := scan(t, root)
	if found["lost+found"].Type != "d" || found["secret"].Type != "f" {
		t.Errorf("%+v", found)
	}
	for name, reason := range map[string]string{".": "", "lost+found": "unreadable", "secret": "unreadable", "z": ""} {
		if found[name].LeftOut != reason {
			t.Errorf("%s: %q, not %q", name, found[name].LeftOut, reason)
		}
	}
	var archive bytes.Buffer
	must(t, Pack(&archive, root, nil, nil))
	if headers, _ := unpack(t, archive.Bytes()); headers["z"] == nil || headers["lost+found/"] == nil || headers["secret"] != nil {
		t.Errorf("%v", headers)
	}
	closed := filepath.Join(root, "lost+found")
	if found := scan(t, closed); len(found) != 1 || found["."].Type != "d" {
		t.Errorf("%+v", found)
	}
	archive.Reset()
	must(t, Pack(&archive, closed, nil, nil))
	if headers, _ := unpack(t, archive.Bytes()); len(headers) != 1 || headers["./"] == nil {
		t.Errorf("%v", headers)
	}
}

func asNobody(t *testing.T) {
	t.Helper()
	program, err := os.ReadFile(os.Args[0])
	must(t, err)
	dir, err := os.MkdirTemp("", "files") // t.TempDir is closed to others
	must(t, err)
	defer os.RemoveAll(dir)
	must(t, os.Chmod(dir, 0o777))
	path := filepath.Join(dir, "test")
	must(t, os.WriteFile(path, program, 0o755))
	again := exec.Command(path, "-test.run=^"+t.Name()+"$", "-test.v")
	again.Dir = dir
	again.Env = append(os.Environ(), "TMPDIR="+dir)
	again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := again.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func BenchmarkPackSmallFiles(b *testing.B) {
	root := b.TempDir()
	for i := range 5000 {
		write(b, root, filepath.Join("a/b/c/d", strconv.Itoa(i%50), strconv.Itoa(i)), "some small file")
	}
	for b.Loop() {
		must(b, Pack(io.Discard, root, nil, nil))
	}
}

func TestWhatIsBeingWrittenIsNotTold(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{Part + "1", "a"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	for entry, err := range Scan(root, nil) {
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, entry.Path)
	}
	if !slices.Equal(told, []string{".", "a"}) {
		t.Errorf("told %v", told)
	}
}
