package child

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// One reaper a process, as the package says.
var reaper = func() *Reaper {
	r, err := NewReaper()
	if err != nil {
		panic(err)
	}
	return r
}()

func finish(t *testing.T, p *Process) int {
	t.Helper()
	select {
	case <-p.Done():
		return p.Code()
	case <-time.After(10 * time.Second):
		t.Fatal("the program does not end")
		return 0
	}
}

func TestCodesArePassedOn(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 42": 42, "kill -9 $$": 137, "kill -15 $$": 143} {
		p, err := reaper.Start([]string{"sh", "-c", script}, Inherit)
		if err != nil {
			t.Fatal(err)
		}
		if got := finish(t, p); got != want {
			t.Errorf("%q: %d, want %d", script, got, want)
		}
	}
}

func TestWhatCannotBeStartedSaysWhy(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"no-such-program": os.ErrNotExist, "/no/such": os.ErrNotExist, plain: os.ErrPermission} {
		if _, err := reaper.Start([]string{name}, Inherit); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

func TestManyThatEndAtOnceAreAllFound(t *testing.T) {
	for n := range 100 {
		p, err := reaper.Start([]string{"sh", "-c", "exit " + strconv.Itoa(n)}, Inherit)
		if err != nil {
			t.Fatal(err)
		}
		if got := finish(t, p); got != n {
			t.Fatalf("%d, want %d", got, n)
		}
	}
}

// An orphan is adopted, is left over, and is reaped once it is killed.
func TestLeftOversAreKilledAndReaped(t *testing.T) {
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Skip(err)
	}
	note := filepath.Join(t.TempDir(), "pid")
	p, err := reaper.Start([]string{"sh", "-c", "sleep 300 & echo $! > " + note}, Inherit)
	if err != nil {
		t.Fatal(err)
	}
	finish(t, p)
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	spared, err := reaper.Start([]string{"sleep", "300"}, Inherit)
	if err != nil {
		t.Fatal(err)
	}
	if hit := reaper.KillDescendants(); hit != 1 {
		t.Errorf("%d were hit, want the orphan alone", hit)
	}
	for end := time.Now().Add(10 * time.Second); syscall.Kill(orphan, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the orphan is still in the process table")
		}
	}
	select {
	case <-spared.Done():
		t.Error("a program that the reaper knows was killed")
	default:
	}
	reaper.Signal(spared, syscall.SIGKILL)
	finish(t, spared)
}
