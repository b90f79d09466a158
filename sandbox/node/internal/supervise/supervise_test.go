package supervise

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"devcluster/sandbox/node/internal/board"
)

// start runs units until the test ends; it returns the board and what was said.
func start(t *testing.T, units ...Unit) (*board.Board, func() string) {
	var mu sync.Mutex
	var said strings.Builder
	s := Supervisor{Board: board.New(), Logs: t.TempDir(), Say: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		said.WriteString(line + "\n")
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx, units); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return s.Board, func() string { mu.Lock(); defer mu.Unlock(); return said.String() }
}

func await(b *board.Board, holds func(board.Snapshot) bool) board.Snapshot {
	for {
		state, changed := b.Snapshot()
		if holds(state) {
			return state
		}
		<-changed
	}
}

func TestUnitsBeginInTheOrderOfTheirNeeds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "there")
	b, said := start(t,
		Unit{Name: "second", Needs: []string{"first"}, Do: func(context.Context) error { return nil }},
		Unit{Name: "first", Argv: []string{"sh", "-c", "echo > " + file + "; exec sleep 60"},
			Probe: func(context.Context) error { _, err := os.Stat(file); return err }},
	)
	await(b, func(s board.Snapshot) bool { return s.Ready })
	if want := "first: running\nsecond: done\n"; said() != want {
		t.Errorf("said %q, want %q", said(), want)
	}
}

func TestAnEndedProgramIsNamedAndStartedAgain(t *testing.T) {
	b, said := start(t, Unit{Name: "frail", Argv: []string{"sh", "-c", "echo one; echo two >&2; exit 3"}})
	state := await(b, func(s board.Snapshot) bool { return len(s.Units) == 1 && s.Units[0].Restarts >= 2 })
	unit := state.Units[0]
	if unit.State != board.Failed || unit.Exit != "exit status 3" {
		t.Errorf("%s, %q", unit.State, unit.Exit)
	}
	slices.Sort(unit.Lines)
	if !slices.Equal(unit.Lines, []string{"one", "two"}) { // of the last run alone
		t.Errorf("lines %q", unit.Lines)
	}
	if !strings.Contains(said(), "frail: ended (exit status 3)") {
		t.Errorf("said %q", said())
	}
}

func TestAStageIsTriedUntilItSucceeds(t *testing.T) {
	left := 2
	b, _ := start(t, Unit{Name: "stage", Do: func(context.Context) error {
		if left--; left >= 0 {
			return errors.New("not yet")
		}
		return nil
	}})
	state := await(b, func(s board.Snapshot) bool { return s.Ready })
	if unit := state.Units[0]; unit.State != board.Done || unit.Exit != "" {
		t.Errorf("%s, %q", unit.State, unit.Exit)
	}
}

func TestLogKeepsTheLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	log, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if _, err := log.Write([]byte("a\nb")); err != nil {
			t.Fatal(err)
		}
	}
	tail := log.Tail()
	if len(tail) != keep+1 || tail[0] != "ba" || tail[keep] != "b" {
		t.Errorf("tail %q", tail)
	}
	if _, err := OpenLog(path); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(path + ".1"); err != nil || len(kept) != 90 {
		t.Errorf("the log of the start before: %d bytes, %v", len(kept), err)
	}
}
