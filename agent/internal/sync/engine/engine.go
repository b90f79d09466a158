// Package engine keeps a folder of the laptop and a volume of a pod equal, in both directions, while both are
// in use.
//
// The problem: what is to be done follows from what three parties say (the laptop's files, the pod's files, the
// host process), while thousands of files travel and the connection comes and goes.
//
// Rules:
//   - one goroutine knows and decides; whatever takes time is done by others, which tell it what came of it;
//   - nothing is decided before both sides have told all that they have;
//   - what is being done about a name is finished before anything else is done about it;
//   - what fails is tried again, later and later, and named meanwhile; the rest goes on.
//
// The naive way, a loop that scans, compares and copies, is as slow as its slowest file.
package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"devcluster/agent/internal/files"
	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/memory"
	"devcluster/agent/internal/sync/volume"
)

// Config is what an engine is started with.
type Config struct {
	Root    string   // the laptop's folder, a real path
	State   string   // the file of its memory
	Copy    string   // which copy Root is: another one has another memory
	Volume  string   // which volume of the pod it is, as far as the caller knows
	Exclude []string // hidden on both sides
	Rewrite []string // what the laptop has with other bytes; the host process knows which
	// Databases are names, without their folders, by which a database's folder is known.
	Databases []string
	OneWay    bool // the pod's side is never changed
	NoOwners  bool // the laptop's files belong to one user
	Share     *volume.Share
	Rescan    time.Duration

	trace func(decide.Step, error) // of tests
}

// staged is a file on its way to a side.
type staged interface {
	volume.Sink
	Commit(ctx context.Context, want volume.Item) (volume.Item, error)
	Drop()
}

// side is a volume.Volume or a wire.Remote.
type side interface {
	Digest(ctx context.Context, path string) (volume.Item, volume.Digest, error)
	Blocks(ctx context.Context, path string) ([]volume.Digest, error)
	Fetch(ctx context.Context, path string, have []volume.Digest, sink volume.Sink) (volume.Item, volume.Digest, error)
	Apply(ctx context.Context, change volume.Change) (volume.Item, error)
	Rescan(ctx context.Context) error
	stage(change volume.Change) (staged, error)
}

type local struct{ *volume.Volume }

func (l local) stage(change volume.Change) (staged, error) { return l.Stage(change) }

// engine is all that is known. Its fields belong to the goroutine of run.
type engine struct {
	config Config
	ctx    context.Context
	host   *Host
	tree   *decide.Tree
	memory *memory.Memory
	inputs chan func()
	work   sync.WaitGroup // of all that is done elsewhere

	sides   [2]side // the pod's is nil while there is no connection
	scanned [2]bool
	link    int // the connection's number
	lacks   [2]string

	plan     decide.Plan
	batch    bool                           // a batch is being done
	large    int                            // large files under way
	finished int                            // names done since the plan
	under    map[*decide.Node]*atomic.Int64 // of what is under way, or was when the plan was made: its bytes so far
	suspects suspects
	waits    map[*decide.Node]*wait
	gone     [2]burst
	removed  [2][]removal
	flushes  []*flush
	status   teller
	moved    traffic
}

// Run keeps both sides equal until ctx or the host's stream ends.
func Run(ctx context.Context, config Config, host *Host) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e, known, err := prepare(ctx, config, host)
	if err != nil {
		return err
	}
	defer func() { _ = e.memory.Close() }()
	e.recall(known)
	mine, err := volume.Open(config.Root, volume.Settings{
		Exclude: config.Exclude, Write: true, NoOwners: config.NoOwners, Share: config.Share, Rescan: config.Rescan, Tell: e.hear(decide.Laptop, 0),
	})
	if err != nil {
		return err
	}
	defer mine.Close()
	e.sides[decide.Laptop] = local{mine}
	watched, heard := make(chan error, 1), make(chan error, 1)
	go func() {
		watched <- mine.Run(ctx, func() { e.post(func() { e.ready(decide.Laptop) }) })
	}()
	go func() { heard <- host.listen(e) }()
	var ended bool
	ended, err = e.run(watched, heard)
	cancel()
	host.hangUp()
	e.work.Wait()
	if !ended {
		<-watched
	}
	return err
}

func prepare(ctx context.Context, config Config, host *Host) (*engine, map[string]memory.Known, error) {
	rewrites, err := files.Compile(config.Rewrite)
	if err != nil {
		return nil, nil, err
	}
	databases, err := files.Compile(config.Databases)
	if err != nil {
		return nil, nil, err
	}
	remembered, known, err := memory.Open(config.State, config.Copy)
	if err != nil {
		return nil, nil, fmt.Errorf("the state file: %w", err)
	}
	tree := decide.NewTree(rewrites.Match)
	tree.OneWay = config.OneWay
	return &engine{
		config: config, ctx: ctx, host: host, tree: tree, memory: remembered, inputs: make(chan func(), 256),
		waits: map[*decide.Node]*wait{}, under: map[*decide.Node]*atomic.Int64{}, suspects: suspects{names: databases, seen: map[string]bool{}},
	}, known, nil
}

// recall takes up what was remembered. How a file would be rewritten may have changed since.
func (e *engine) recall(known map[string]memory.Known) {
	for path, one := range known {
		n := e.tree.At(path)
		if n.Rewrite && one.Base != nil {
			one.Base.Item[decide.Pod].Ctime = 0
		}
		e.tree.SetBase(n, one.Base)
		n.Coming = one.Coming
	}
}

// post has something done by the goroutine that knows, unless that has ended.
func (e *engine) post(do func()) {
	select {
	case e.inputs <- do:
	case <-e.ctx.Done():
	}
}

// run does one thing after another until something ends.
func (e *engine) run(watched, heard <-chan error) (unwatched bool, err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case do := <-e.inputs:
			do()
			e.drain()
		case <-timer.C:
		case err := <-watched:
			return true, unlessCancelled(err)
		case err := <-heard:
			return false, err
		}
		if next := e.step(time.Now()); next > 0 {
			timer.Reset(next)
		}
	}
}

func unlessCancelled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// drain does what has come meanwhile.
func (e *engine) drain() {
	for range cap(e.inputs) {
		select {
		case do := <-e.inputs:
			do()
		default:
			return
		}
	}
}

// step does what is due, and says when something will be.
func (e *engine) step(now time.Time) time.Duration {
	e.retry(now)
	if e.isReady() && !e.batch {
		e.decide(now)
	}
	if err := e.memory.Flush(); err != nil {
		e.status.trouble = "the state file can't be written: " + explain(err)
	} else {
		e.status.trouble = ""
	}
	e.answerFlushes(now)
	e.tellStatus(now)
	return e.nextDue(now)
}

func (e *engine) isReady() bool {
	return e.scanned[decide.Pod] && e.scanned[decide.Laptop] && e.sides[decide.Pod] != nil
}

// hear gives what a side's tellings are for. The number is the connection's that they come by.
func (e *engine) hear(from decide.Side, link int) func([]volume.Told) {
	return func(all []volume.Told) {
		e.post(func() {
			if from == decide.Pod && link != e.link {
				return
			}
			for _, told := range all {
				e.tree.Tell(from, told)
				e.suspects.note(told)
				if told.Listing || told.Item.Kind == volume.None {
					e.gone[from].add(time.Now())
				}
			}
		})
	}
}

// ready: a side has told all that it has.
func (e *engine) ready(from decide.Side) {
	if e.scanned[from] {
		return
	}
	e.tree.EndScan(from)
	e.scanned[from] = true
}

// decide plans and begins what is to be done.
func (e *engine) decide(now time.Time) {
	for range 3 { // what only the memory has to learn is done at once, and may make more clear
		e.plan = e.tree.Plan(e.options(now))
		e.finished = 0
		maps.DeleteFunc(e.under, func(n *decide.Node, _ *atomic.Int64) bool { return !n.Busy })
		if !e.settle() {
			break
		}
	}
	e.begin()
	if e.memory.Outdated(e.names()) {
		e.rewriteMemory(e.memory.Volume())
	}
}

// settle does the steps that change no side; true where there were any.
func (e *engine) settle() (any bool) {
	for _, step := range e.plan.Steps {
		if step.Verb == decide.Settle {
			e.remember(step.Node, step.Path, step.Base)
			any = true
		}
	}
	return any
}

// remember notes what both sides have alike.
func (e *engine) remember(n *decide.Node, path string, base *decide.Base) {
	e.tree.SetBase(n, base)
	e.memory.Remember(path, base)
}

func (e *engine) names() (count int) {
	e.tree.Each(func(string, *decide.Node) { count++ })
	return count
}

func (e *engine) rewriteMemory(pod string) {
	known := map[string]memory.Known{}
	e.tree.Each(func(path string, n *decide.Node) { known[path] = memory.Known{Base: n.Base, Coming: n.Coming} })
	if err := e.memory.Rewrite(pod, known); err != nil {
		e.status.trouble = "the state file can't be written: " + explain(err)
	}
}
