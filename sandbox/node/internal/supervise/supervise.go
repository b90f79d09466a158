// Package supervise runs the programs of a sandbox in the order of their needs, and starts again what ends.
//
// A shell script that starts seven programs and waits for the last says nothing when the third one dies: the
// cluster just stays away.  Here each program has a probe, a log and a line on the board, and one that ends
// is named with its last lines, in the container's log and in `status`.
package supervise

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"devcluster/sandbox/node/internal/board"
)

const (
	probeEvery = 100 * time.Millisecond
	grace      = 4 * time.Second // after SIGTERM, before SIGKILL
	backoffTop = 10 * time.Second
)

// Unit is a program (Argv), or a stage (Do).  It begins when every unit of Needs has worked once.
type Unit struct {
	Name  string
	Needs []string
	Argv  []string
	Probe func(context.Context) error // nil: it works as soon as it runs
	Do    func(context.Context) error // tried again until it succeeds
	Last  bool                        // is stopped after the others
}

// Supervisor runs units; Say is told each line for the container's log.
type Supervisor struct {
	Board *board.Board
	Logs  string
	Say   func(string)

	worked map[string]chan struct{}
}

// Run works until ctx ends, then stops everything, and returns when nothing runs any more.
func (s *Supervisor) Run(ctx context.Context, units []Unit) {
	s.worked = map[string]chan struct{}{}
	for _, unit := range units {
		s.worked[unit.Name] = make(chan struct{})
		s.Board.Set(unit.Name, func(u *board.Unit) { u.Kind = unit.kind() })
	}
	last, stopLast := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLast()
	var first, second sync.WaitGroup
	for _, unit := range units {
		if unit.Last {
			second.Go(func() { s.run(last, unit) })
		} else {
			first.Go(func() { s.run(ctx, unit) })
		}
	}
	<-ctx.Done()
	first.Wait()
	stopLast()
	second.Wait()
}

func (u Unit) kind() string {
	if u.Do != nil {
		return "stage"
	}
	return "program"
}

func (s *Supervisor) run(ctx context.Context, unit Unit) {
	for _, need := range unit.Needs {
		select {
		case <-s.worked[need]:
		case <-ctx.Done():
			return
		}
	}
	s.Board.Set(unit.Name, func(u *board.Unit) { u.State = board.Starting })
	if unit.Do != nil {
		s.stage(ctx, unit)
		return
	}
	s.program(ctx, unit)
}

// stage tries until it succeeds; each new reason is written down once.
func (s *Supervisor) stage(ctx context.Context, unit Unit) {
	for {
		err := unit.Do(ctx)
		if err == nil {
			s.succeed(unit, board.Done)
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.Board.Set(unit.Name, func(u *board.Unit) { u.Exit = err.Error() })
		if !pause(ctx, probeEvery) {
			return
		}
	}
}

func (s *Supervisor) program(ctx context.Context, unit Unit) {
	log, err := OpenLog(filepath.Join(s.Logs, unit.Name+".log"))
	if err != nil {
		s.Say(fmt.Sprintf("%s: %v", unit.Name, err))
		return
	}
	for wait := time.Second / 2; ; wait = min(2*wait, backoffTop) {
		began := time.Now()
		err := s.once(ctx, unit, log)
		if ctx.Err() != nil {
			return
		}
		s.fail(unit, err, log.Tail())
		if time.Since(began) > time.Minute {
			wait = time.Second / 2
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// once runs the program until it ends; it never returns nil.
func (s *Supervisor) once(ctx context.Context, unit Unit, log *Log) error {
	log.Forget()
	command := exec.CommandContext(ctx, unit.Argv[0], unit.Argv[1:]...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = grace
	if err := command.Start(); err != nil {
		return err
	}
	s.Board.Set(unit.Name, func(u *board.Unit) { u.PID = command.Process.Pid })
	alive, ended := context.WithCancel(ctx)
	var probing sync.WaitGroup
	probing.Go(func() { s.probe(alive, unit) })
	err := command.Wait()
	ended()
	probing.Wait()
	if err == nil {
		return fmt.Errorf("exit status 0")
	}
	return err
}

func (s *Supervisor) probe(ctx context.Context, unit Unit) {
	for unit.Probe != nil {
		err := unit.Probe(ctx)
		if err == nil {
			break
		}
		if !pause(ctx, probeEvery) {
			return
		}
	}
	if ctx.Err() == nil {
		s.succeed(unit, board.Running)
	}
}

// succeed says it first: who reads the board finds it in the log.
func (s *Supervisor) succeed(unit Unit, state board.State) {
	s.Say(fmt.Sprintf("%s: %s", unit.Name, state))
	s.Board.Set(unit.Name, func(u *board.Unit) {
		u.State = state
		if state == board.Done {
			u.Exit = ""
		}
	})
	select {
	case <-s.worked[unit.Name]:
	default:
		close(s.worked[unit.Name])
	}
}

func (s *Supervisor) fail(unit Unit, err error, lines []string) {
	s.Board.Set(unit.Name, func(u *board.Unit) {
		u.State, u.PID, u.Exit, u.Lines = board.Failed, 0, err.Error(), lines
		u.Restarts++
	})
	if len(lines) == 0 {
		s.Say(fmt.Sprintf("%s: ended (%v) and said nothing", unit.Name, err))
		return
	}
	s.Say(fmt.Sprintf("%s: ended (%v); its last lines, more in %s/%s.log:\n    %s",
		unit.Name, err, s.Logs, unit.Name, strings.Join(lines, "\n    ")))
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
