package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// start serves one mode on a free port.
func start(t *testing.T, mode string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); listener.Close() })
	go func() { _ = serveOne(ctx, mode, listener) }()
	return listener.Addr().String()
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestChecksTellServersApart(t *testing.T) {
	for _, test := range []struct {
		name, mode string
		check      func(context.Context, string) error
		good       bool
	}{
		{"an echo answers after our end", "echo", halfClose, true},
		{"a reset server does not", "reset", halfClose, false},
		{"a reset is a reset", "reset", expectReset, true},
		{"an echo is no reset", "echo", expectReset, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.check(limited(t), start(t, test.mode))
			if (err == nil) != test.good {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestEchoComparesEveryByte(t *testing.T) {
	s := settings{address: start(t, "echo"), parallel: 8}
	report := together(limited(t), s, func(conn *net.TCPConn) (int64, error) { return echoed(conn, 3<<20+17) })
	if report.OK != 8 || report.Bytes != 8*(3<<20+17) {
		t.Fatalf("%+v", report)
	}
}

func TestCompareNoticesAChange(t *testing.T) {
	block := []byte("0123456789")
	sent, _ := io.ReadAll(io.LimitReader(&pattern{block: block}, 25))
	if string(sent) != "0123456789123456789023456" {
		t.Fatalf("pattern: %s", sent)
	}
	for name, got := range map[string][]byte{
		"short":   sent[:24],
		"long":    append(bytes.Clone(sent), 'x'),
		"swapped": append([]byte("1"), sent[1:]...),
	} {
		if _, err := compare(bytes.NewReader(got), &pattern{block: block}, 25); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := compare(bytes.NewReader(sent), &pattern{block: block}, 25); err != nil {
		t.Error(err)
	}
}

func TestHTTPCountsByIdentity(t *testing.T) {
	t.Setenv("IDENTITY", "local")
	server := httptest.NewServer(http.HandlerFunc(answer))
	defer server.Close()
	report := &HTTPReport{Identity: map[string]int{}, Status: map[int]int{}, Errors: map[string]int{}}
	report.ask(limited(t), server.URL, "one")
	server.Close()
	report.ask(limited(t), server.URL, "two")
	if report.OK != 1 || report.Identity["local"] != 1 || len(report.Errors) != 1 {
		t.Fatalf("%+v", report)
	}
}

func TestLookTellsWhatPutWrote(t *testing.T) {
	path := t.TempDir() + "/file"
	if err := put(path, "text"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", path+"-link"); err != nil {
		t.Fatal(err)
	}
	found, err := look([]string{filepath.Dir(path), path + "-absent"})
	if err != nil || len(found) != 3 {
		t.Fatalf("%v %v", found, err)
	}
	const sum = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"
	if seen := found[path]; seen.SHA256 != sum || seen.Mode != "-rw-r--r--" || seen.Links != 1 {
		t.Errorf("%+v", seen)
	}
	if found[path+"-link"].Link != "file" {
		t.Errorf("%+v", found[path+"-link"])
	}
}
