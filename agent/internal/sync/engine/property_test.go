package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
)

// TestNothingIsEverLost lets both sides do whatever comes to their minds while the connection is cut and the
// engine killed, and then asks two things: are both sides equal but for named conflicts, and is everything that
// was ever written still where it was written, unless somebody who saw it has overwritten or deleted it?
//
// DEVCLUSTER_SYNC_SECONDS is how long (4), DEVCLUSTER_SYNC_SEED what comes to their minds.
func TestNothingIsEverLost(t *testing.T) {
	seed := uint64(number(t, "DEVCLUSTER_SYNC_SEED", time.Now().UnixNano()))
	span := time.Duration(number(t, "DEVCLUSTER_SYNC_SECONDS", 4)) * time.Second
	for began := time.Now(); time.Since(began) < span; seed++ {
		if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { oneLife(t, seed, min(span, 4*time.Second)) }) {
			return
		}
	}
}

func number(t *testing.T, name string, otherwise int64) int64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	value, err := strconv.ParseInt(text, 10, 64)
	check(t, err)
	return value
}

// users are those who write on both sides. Each line of each file is unique; a line that somebody has seen and
// overwritten or deleted is gone for good.
type users struct {
	*world
	outside string

	mu    sync.Mutex
	last  int
	wrote map[string]int // the side of each line
	gone  map[string]bool
	log   []string
}

func oneLife(t *testing.T, seed uint64, span time.Duration) {
	w := newWorld(t)
	u := &users{world: w, outside: realFolder(t), wrote: map[string]int{}, gone: map[string]bool{}}
	w.config.trace = u.trace
	w.start()
	over := make(chan struct{})
	var group sync.WaitGroup
	for side := range 2 {
		random := rand.New(rand.NewPCG(seed, uint64(side)))
		group.Go(func() { u.live(over, side, random) })
	}
	random := rand.New(rand.NewPCG(seed, 2))
	for end := time.Now().Add(span); time.Now().Before(end); {
		time.Sleep(time.Duration(random.IntN(700)) * time.Millisecond)
		switch random.IntN(4) {
		case 0:
			w.kill()
			w.begin()
		default:
			w.cut()
		}
		w.connect()
	}
	close(over)
	group.Wait()
	u.judge()
	if t.Failed() {
		t.Log(strings.Join(u.log, "\n"))
	}
}

func (u *users) trace(step decide.Step, err error) {
	text := ""
	if step.Verb == decide.Put {
		raw, _ := os.ReadFile(u.path(int(step.To), step.Path))
		text = fmt.Sprintf("%q", raw)
	}
	verb := [...]string{"ask", "clear", "make", "put", "tie", "dress", "remove", "settle"}[step.Verb]
	u.mu.Lock()
	defer u.mu.Unlock()
	u.log = append(u.log, fmt.Sprintf("%s      %s %s in the %s: %v %s", time.Now().Format("05.000"), verb, step.Path, sideNames[step.To], err, text))
}

func (u *users) live(over <-chan struct{}, side int, random *rand.Rand) {
	for {
		select {
		case <-over:
			return
		case <-time.After(time.Duration(random.IntN(30)) * time.Millisecond):
		}
		u.act(side, random)
	}
}

var places = []string{"", "", "d/", "d/", "d/e/", "f/"}

func somewhere(random *rand.Rand) string {
	return places[random.IntN(len(places))] + string(rune('a'+random.IntN(4)))
}

func (u *users) act(side int, random *rand.Rand) {
	name, other := somewhere(random), somewhere(random)
	path, second := u.path(side, name), u.path(side, other)
	line := u.line(side)
	what := ""
	var err error
	switch random.IntN(12) {
	case 0, 1, 2:
		what, err = "write", u.overwrite(side, path, line)
	case 3:
		what, err = "append", u.appendTo(side, path, line)
	case 4, 5:
		what, err = "replace", u.replace(side, path, line)
	case 6:
		what, err = "move to "+other, u.move(side, path, second)
	case 7:
		what, err = "delete", u.take(path)
	case 8:
		name = []string{"d", "d/e", "f", name}[random.IntN(4)]
		what, err = "make folder", os.MkdirAll(u.path(side, name), 0o755)
	case 9:
		name = []string{"d", "d/e", "f"}[random.IntN(3)]
		what, err = "delete folder", u.take(u.path(side, name))
	case 10:
		what, err = "chmod", os.Chmod(path, 0o600|fs.FileMode(random.IntN(0o100)))
	case 11:
		what, err = "link to "+other, os.Link(path, second)
	}
	if err == nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.log = append(u.log, fmt.Sprintf("%s %s: %s %s", time.Now().Format("05.000"), line, what, name))
	}
}

var sideNames = []string{"pod", "laptop"}

func (u *users) line(side int) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last++
	return fmt.Sprintf("%s %d", sideNames[side], u.last)
}

func (u *users) note(side int, line string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wrote[line] = side
}

func lines(text []byte) []string {
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// forget notes what somebody has seen and ended.
func (u *users) forget(text []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, line := range lines(text) {
		u.gone[line] = true
	}
}

// overwrite writes into the file that is there.
func (u *users) overwrite(side int, path, line string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	before, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(0)); err != nil {
		return err
	}
	if _, err := file.WriteAt([]byte(line+"\n"), 0); err != nil {
		return err
	}
	u.note(side, line)
	u.forget(before)
	return nil
}

func (u *users) appendTo(side int, path, line string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err = file.WriteString(line + "\n"); err == nil {
		u.note(side, line)
	}
	return err
}

// aside is a new name outside.
func (u *users) aside() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last++
	return filepath.Join(u.outside, strconv.Itoa(u.last))
}

// replace renames a file over what is there, as an editor does; what was there is known by an exchange.
func (u *users) replace(side int, path, line string) error {
	part := u.aside()
	if err := os.WriteFile(part, []byte(line+"\n"), 0o640); err != nil {
		return err
	}
	err := unix.Renameat2(unix.AT_FDCWD, part, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOENT) {
		if err = unix.Renameat2(unix.AT_FDCWD, part, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE); err == nil {
			u.note(side, line)
		}
		return err
	}
	if err == nil {
		u.note(side, line)
		u.forgetAll(part)
	}
	return err
}

// move makes what is moved the work of who moved it: the other side may have something else of the new name.
func (u *users) move(side int, path, second string) error {
	err := unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, second, unix.RENAME_NOREPLACE)
	if err != nil {
		return err
	}
	return filepath.WalkDir(second, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			text, _ := os.ReadFile(path)
			for _, line := range lines(text) {
				u.note(side, line)
			}
		}
		return nil
	})
}

// take deletes a file or a folder with all in it, and knows what that was.
func (u *users) take(path string) error {
	part := u.aside()
	if err := os.Rename(path, part); err != nil {
		return err
	}
	u.forgetAll(part)
	return nil
}

func (u *users) forgetAll(path string) {
	check(u.t, filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && !strings.HasPrefix(entry.Name(), volume.Part) {
			text, err := os.ReadFile(path)
			check(u.t, err)
			u.forget(text)
		}
		if errors.Is(err, fs.ErrNotExist) { // a part that the engine has taken out of a folder that was moved here
			return nil
		}
		return err
	}))
}

// judge asks whether all is well once everything is quiet.
func (u *users) judge() {
	u.t.Helper()
	var left Left
	for range 5 {
		if left = u.flush(); left.Pending == 0 && len(left.Held) == 0 {
			break
		}
		if len(left.Held) > 0 {
			var answer kept
			u.ask(map[string]any{"do": "keep", "side": left.Held[0].DeletedOn, "paths": left.Held[0].Paths}, &answer)
		}
	}
	if left.Pending > 0 || len(left.Held) > 0 {
		u.t.Errorf("not done: %+v", left)
	}
	conflicts := []string{}
	for _, one := range left.Left {
		conflicts = append(conflicts, string(one.Path))
	}
	theirs, mine := u.known(pod, conflicts), u.known(laptop, conflicts)
	for path, line := range theirs {
		if mine[path] != line {
			u.t.Errorf("%s: in the pod %q, on the laptop %q; conflicts %v", path, line, mine[path], left.Left)
		}
	}
	for path, line := range mine {
		if theirs[path] == "" {
			u.t.Errorf("%s: only on the laptop: %q; conflicts %v", path, line, left.Left)
		}
	}
	u.nothingLost()
	for _, one := range left.Left {
		if !strings.HasPrefix(one.Why, "changed on both") && !strings.HasPrefix(one.Why, "a folder in which") && !strings.HasPrefix(one.Why, "one side has") {
			u.t.Errorf("%s: %s", one.Path, one.Why)
		}
	}
}

// known are all names of a side but those of conflicts, each with all that travels.
func (u *users) known(side int, conflicts []string) map[string]string {
	found := map[string]string{}
	check(u.t, filepath.WalkDir(u.folder[side], func(path string, entry fs.DirEntry, err error) error {
		check(u.t, err)
		name, _ := filepath.Rel(u.folder[side], path)
		if slices.Contains(conflicts, name) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		var st unix.Stat_t
		check(u.t, unix.Lstat(path, &st))
		found[name] = fmt.Sprintf("%o", st.Mode)
		if entry.Type().IsRegular() {
			found[name] += fmt.Sprintf(" %d %q", st.Mtim.Nano(), u.read(side, name))
		}
		return nil
	}))
	return found
}

func (u *users) nothingLost() {
	var there [2][]string
	for side := range there {
		check(u.t, filepath.WalkDir(u.folder[side], func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				text, err := os.ReadFile(path)
				check(u.t, err)
				there[side] = append(there[side], lines(text)...)
			}
			return err
		}))
	}
	for line, side := range u.wrote {
		if !u.gone[line] && !slices.Contains(there[side], line) {
			u.t.Errorf("lost: %q", line)
		}
	}
}
