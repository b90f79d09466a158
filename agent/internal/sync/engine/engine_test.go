package engine

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
)

func TestTheFirstPassBringsEverything(t *testing.T) {
	w := newWorld(t)
	w.write(pod, "a/b/c", strings.Repeat("long", 50_000))
	w.write(pod, "x\xff", "odd")
	check(t, os.Link(w.path(pod, "a/b/c"), w.path(pod, "a/hard")))
	check(t, os.Symlink("/etc/passwd", w.path(pod, "link")))
	check(t, unix.Mkfifo(w.path(pod, "pipe"), 0o640))
	check(t, os.Chmod(w.path(pod, "a/b"), 0o555))
	check(t, os.Lchown(w.path(pod, "x\xff"), 33, 44))
	for i := range 300 {
		w.write(pod, fmt.Sprintf("many/%d/%d", i%7, i), fmt.Sprint(i))
	}
	w.write(laptop, "mine", "sent")
	w.start().settle()
	if got := w.read(pod, "mine"); got != "sent" {
		t.Error(got)
	}
	w.until("counted", func(s Status) bool { return s.State == "settled" && s.Files == 304 && s.LastReceived != nil })
}

func TestChangesTravelBothWays(t *testing.T) {
	w := newWorld(t).start()
	w.settle()
	for _, side := range []int{pod, laptop} {
		in := func(name string) string { return w.path(side, name) }
		w.write(side, "d/a", "one")
		w.settle()
		w.write(side, "d/a", "two and more")
		check(t, os.Symlink("a", in("d/l")))
		check(t, os.Link(in("d/a"), in("d/h")))
		w.settle()
		check(t, os.WriteFile(in("d/h"), []byte("by the other name"), 0o600)) // in place
		check(t, os.Chmod(in("d/a"), 0o640))
		check(t, os.Lchown(in("d"), 33, 44))
		w.settle()
		check(t, os.Truncate(in("d/a"), 2))
		check(t, os.Chtimes(in("d/h"), time.Unix(5, 0), time.Unix(1_600_000_000, 12_345_678)))
		check(t, os.Remove(in("d/l")))
		check(t, os.Mkdir(in("d/l"), 0o2711))
		w.settle()
		check(t, os.Rename(in("d"), in("e")))
		w.settle()
		check(t, os.RemoveAll(in("e")))
		w.write(side, "e", "a file now")
		w.settle()
		check(t, os.Remove(in("e")))
		w.settle()
		w.write(side, "large", strings.Repeat("0123456789abcdef", 600_000))
		w.settle()
		check(t, os.Remove(in("large")))
		w.settle()
	}
}

func TestAChangeIsThereWithinASecond(t *testing.T) {
	w := newWorld(t).start()
	w.settle()
	for side := range 2 {
		for try := range 5 {
			text := fmt.Sprintf("%d of %d", try, side)
			began := time.Now()
			w.write(side, "a", text)
			for w.read(1-side, "a") != text {
				if time.Since(began) > time.Second {
					t.Fatalf("not there after a second: %q", w.read(1-side, "a"))
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
}

func TestAConflictKeepsBothUntilSomebodyDecides(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "b", "d/x"} {
		w.write(pod, name, "both")
	}
	w.start().settle()
	w.cut()
	w.write(pod, "a", "the pod's")
	w.write(laptop, "a", "the laptop's")
	w.write(laptop, "b", "travels")
	w.write(pod, "d/x", "the pod's")
	check(t, os.RemoveAll(w.path(laptop, "d")))
	w.write(laptop, "d", "a file")
	w.connect()
	if left := w.flush(); left.Equal || paths(left.Left) != "a d" || left.Pending != 0 {
		t.Errorf("left: %+v", left)
	}
	if w.read(pod, "a") != "the pod's" || w.read(laptop, "a") != "the laptop's" || w.read(pod, "b") != "travels" {
		t.Error(w.tree(pod), w.tree(laptop))
	}
	w.end()
	w.start() // it is still one
	if left := w.flush(); paths(left.Left) != "a d" {
		t.Errorf("left: %+v", left)
	}
	var answer kept
	w.ask(map[string]any{"do": "keep", "side": "laptop", "paths": []string{"a", "b", "nothing"}}, &answer)
	if strings.Join(answer.Unknown, " ") != "b nothing" {
		t.Errorf("%+v", answer)
	}
	w.ask(map[string]any{"do": "keep", "side": "pod", "paths": []string{"d"}}, &answer)
	w.settle()
	if w.read(pod, "a") != "the laptop's" || w.read(laptop, "d/x") != "the pod's" {
		t.Error(w.tree(pod), w.tree(laptop))
	}
}

func TestADeletionOfEverythingIsHeldBack(t *testing.T) {
	for side, name := range []string{"pod", "laptop"} {
		for keep, here := range map[string]bool{name: false, [2]string{"pod", "laptop"}[1-side]: true} {
			w := newWorld(t)
			for i := range 20 {
				w.write(pod, fmt.Sprintf("d/%d", i), "x")
			}
			w.start().settle()
			check(t, os.RemoveAll(w.path(side, "d")))
			w.until("held", func(s Status) bool {
				return len(s.HeldBack) == 1 && s.HeldBack[0].DeletedOn == name && s.HeldBack[0].Count == 21 && s.State == "settled"
			})
			if w.read(1-side, "d/7") != "x" {
				t.Error("it is gone")
			}
			if left := w.flush(); left.Equal || len(left.Held) != 1 {
				t.Errorf("%+v", left)
			}
			var answer kept
			w.ask(map[string]any{"do": "keep", "side": keep, "paths": []string{"d"}}, &answer)
			w.settle()
			if (w.read(side, "d/7") == "x") != here {
				t.Errorf("deleted on %s, keep %s: %s", name, keep, w.read(side, "d/7"))
			}
			w.end()
		}
	}
}

func TestItGoesOnFromWhereItWas(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.write(pod, fmt.Sprintf("d/%d", i), "x")
	}
	w.start().settle()
	w.kill()
	check(t, os.Remove(w.path(pod, "d/1")))
	check(t, os.Remove(w.path(laptop, "d/2")))
	w.write(pod, "d/3", "changed")
	w.write(laptop, "d/4", "changed")
	w.start().settle()
	if w.read(laptop, "d/1") != "(none)" || w.read(pod, "d/2") != "(none)" || w.read(laptop, "d/3") != "changed" || w.read(pod, "d/4") != "changed" {
		t.Error(w.tree(pod))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if sent := w.status.SentBytes + w.status.ReceivedBytes; sent != int64(2*len("changed")) {
		t.Errorf("%d bytes were sent", sent)
	}
}

func TestANewVolumeInThePodHasDeletedNothing(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.write(pod, fmt.Sprintf("d/%d", i), "x")
	}
	w.start().settle()
	w.cut()
	w.folder[pod] = realFolder(t)
	w.write(pod, "d/1", "fresh from the image")
	w.write(laptop, "d/2", "mine")
	w.connect()
	w.settle()
	if w.read(laptop, "d/1") != "fresh from the image" || w.read(pod, "d/2") != "mine" || w.read(pod, "d/3") != "x" {
		t.Error(w.tree(pod))
	}
}

func TestWhatTheLaptopWroteIsNotReplacedByWhatANewVolumeBrings(t *testing.T) {
	w := newWorld(t)
	w.write(pod, "theirs", "from the image")
	w.write(pod, "alike", "from the image")
	w.write(pod, "mine", "from the image")
	w.start().settle()
	w.write(laptop, "mine", "worked on for an hour")
	w.write(laptop, "alike", "the same work")
	w.settle()
	w.end()
	w.folder[pod] = realFolder(t)
	w.write(pod, "theirs", "from the next image")
	w.write(pod, "alike", "the same work")
	w.write(pod, "mine", "from the next image")
	w.start()
	if left := w.flush(); paths(left.Left) != "mine" || w.read(laptop, "mine") != "worked on for an hour" || w.read(laptop, "theirs") != "from the next image" {
		t.Error(left, w.tree(laptop))
	}
}

func TestAFileThatIsWrittenAllTheTimeIsNotSentAllTheTime(t *testing.T) {
	e := &engine{tree: decide.NewTree(nil), waits: map[*decide.Node]*wait{}}
	n, now := e.tree.At("log"), time.Now()
	after := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	waits := func(what string, want bool) {
		if t.Helper(); n.Waits != want {
			t.Errorf("%s: waits: %v", what, n.Waits)
		}
	}
	there := volume.Told{Path: "log", Item: volume.Item{Kind: volume.File}}
	for side := range decide.Side(2) {
		e.tree.Tell(side, there)
	}
	e.worked(n, time.Second, now)
	waits("sent once: the next change is sent at once", false)
	e.worked(n, 0, after(1)) // it was read
	e.worked(n, time.Second, after(2))
	waits("sent twice", true)
	e.retry(after(3))
	waits("a second later", true)
	e.hurry(after(3))
	e.retry(after(3))
	waits("somebody wants to leave", false)
	e.worked(n, time.Second, after(4))
	e.worked(n, time.Second, after(5))
	e.retry(after(11))
	waits("long after", false)
	e.worked(n, time.Second, after(12))
	e.worked(n, time.Second, after(13))
	e.tree.Tell(decide.Pod, volume.Told{Path: "log"})
	e.retry(after(14))
	waits("deleted", false)
}

func TestWhatIsUnderWayIsToldAsItMoves(t *testing.T) {
	tree := decide.NewTree(nil)
	e := &engine{plan: decide.Plan{PendingBytes: 100}, under: map[*decide.Node]*atomic.Int64{}}
	for at, name := range []string{"a", "b"} {
		step := decide.Step{Node: tree.At(name), Moved: new(atomic.Int64)}
		e.busy(step)
		counted := &counting{Sink: &text{}, traffic: &e.moved, moved: step.Moved}
		for range 2 { // it is read again
			check(t, counted.Begin(volume.Item{}))
			_, err := counted.Write(make([]byte, 10+at))
			check(t, err)
		}
	}
	if left := e.pendingBytes(); left != 79 {
		t.Errorf("%d bytes are left", left)
	}
}

func TestADatabaseThatComesToBeIsTold(t *testing.T) {
	w := newWorld(t)
	w.config.Databases = []string{"PG_VERSION", "*-wal"}
	w.write(pod, "a", "x")
	w.start().settle()
	w.write(laptop, "d/app.db-wal", "x")
	w.write(pod, "PG_VERSION", "17")
	w.until("told", func(s Status) bool { return slices.Equal(s.Databases, names{"PG_VERSION", "d/app.db-wal"}) })
	w.settle()
	check(t, os.Remove(w.path(laptop, "d/app.db-wal")))
	w.until("gone", func(s Status) bool { return slices.Equal(s.Databases, names{"PG_VERSION"}) })
}

func TestAVolumeThatMayNotBeWrittenTravelsOneWay(t *testing.T) {
	w := newWorld(t)
	w.agent.Write = false
	w.write(pod, "a", "x")
	w.write(laptop, "mine", "stays")
	w.start()
	if left := w.flush(); !left.Equal {
		t.Errorf("%+v", left)
	}
	w.write(pod, "a", "again")
	w.flush()
	if w.read(laptop, "a") != "again" || w.read(pod, "mine") != "(none)" || w.read(laptop, "mine") != "stays" {
		t.Error(w.tree(pod), w.tree(laptop))
	}
}

func TestWhatIsHiddenStaysWhereItIs(t *testing.T) {
	w := newWorld(t)
	w.config.Exclude = []string{"cache/**", "*.log"}
	w.write(pod, "cache/x", "p")
	w.write(laptop, "cache/y", "l")
	w.write(laptop, "a.log", "l")
	w.write(pod, "b", "travels")
	w.start().flush()
	if w.read(laptop, "cache/x") != "(none)" || w.read(pod, "cache/y") != "(none)" || w.read(pod, "a.log") != "(none)" || w.read(laptop, "b") != "travels" {
		t.Error(w.tree(pod), w.tree(laptop))
	}
	check(t, os.RemoveAll(w.path(laptop, "cache"))) // the pod's holds what is hidden: it lives on
	w.flush()
	if w.read(pod, "cache/x") != "p" {
		t.Error("what is hidden was deleted")
	}
	w.until("made again", func(s Status) bool { return s.State == "settled" && len(s.Problems) == 0 })
}

func TestRewrittenFiles(t *testing.T) {
	w := newWorld(t)
	w.config.Rewrite = []string{"*.conf"}
	w.rewrite = func(q question) map[string]any {
		content := string(q.Content)
		if q.Do == "rewrite" {
			return map[string]any{"content": []byte(strings.ReplaceAll(content, "db", "db.shop"))}
		}
		if strings.Contains(content, "unclear") && !q.Force {
			return map[string]any{"refuse": "which names were rewritten is not certain"}
		}
		return map[string]any{"content": []byte(strings.ReplaceAll(content, "db.shop", "db"))}
	}
	w.write(pod, "a.conf", "host db")
	w.write(pod, "b", "host db")
	w.start().flush()
	if w.read(laptop, "a.conf") != "host db.shop" || w.read(laptop, "b") != "host db" {
		t.Error(w.tree(laptop))
	}
	w.write(laptop, "a.conf", "host db.shop, more")
	w.write(laptop, "new.conf", "db.shop")
	w.flush()
	if w.read(pod, "a.conf") != "host db, more" || w.read(pod, "new.conf") != "db" {
		t.Error(w.tree(pod))
	}
	w.write(pod, "a.conf", "host db, again")
	w.flush()
	if w.read(laptop, "a.conf") != "host db.shop, again" {
		t.Error(w.tree(laptop))
	}
	w.end()
	w.start()
	if left := w.flush(); !left.Equal {
		t.Errorf("after another start: %+v", left)
	}
	w.write(laptop, "a.conf", "unclear db.shop")
	if left := w.flush(); paths(left.Left) != "a.conf" {
		t.Errorf("%+v", left)
	}
	var answer kept
	w.ask(map[string]any{"do": "keep", "side": "laptop", "paths": []string{"a.conf"}}, &answer)
	if left := w.flush(); !left.Equal || w.read(pod, "a.conf") != "unclear db" {
		t.Errorf("%+v, %q", left, w.read(pod, "a.conf"))
	}
}

func TestOfALogThatGrowsOnlyTheEndTravels(t *testing.T) {
	w := newWorld(t)
	w.write(pod, "log", strings.Repeat("a line of a log\n", 200_000))
	w.start().settle()
	for side := range 2 {
		log, err := os.OpenFile(w.path(side, "log"), os.O_WRONLY|os.O_APPEND, 0)
		check(t, err)
		_, err = log.WriteString("and one more\n")
		check(t, err)
		check(t, log.Close())
		w.settle()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status.SentBytes > 200_000 || w.status.ReceivedBytes > 3_400_000 {
		t.Errorf("sent %d, received %d", w.status.SentBytes, w.status.ReceivedBytes)
	}
}

func TestWhatWasRenamedDoesNotTravelAgain(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.write(pod, fmt.Sprintf("d/%d", i), fmt.Sprint(i, strings.Repeat("x", 1000)))
	}
	w.start().settle()
	for side := range 2 {
		check(t, os.Rename(w.path(side, "d"), w.path(side, "e")))
		w.settle()
		check(t, os.Rename(w.path(side, "e"), w.path(side, "d")))
		w.settle()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status.SentBytes > 0 || w.status.ReceivedBytes > 31_000 {
		t.Errorf("sent %d, received %d", w.status.SentBytes, w.status.ReceivedBytes)
	}
}

func TestWhatFailsIsNamedAndTheRestGoesOn(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("n", 250)
	w.write(pod, "d/a", "x")
	w.start().settle()
	full := realFolder(t)
	if err := unix.Mount("tmpfs", full, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("needs to mount: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(full, 0) })
	w.cut()
	w.folder[pod] = full
	w.write(laptop, "big", strings.Repeat("x", 200<<10))
	w.write(laptop, long, "small")
	w.connect()
	left := w.flush()
	if paths(left.Left) != "big" || left.Left[0].Why != "no space is left in the pod" || w.read(pod, long) != "small" {
		t.Errorf("%+v", left)
	}
	w.write(laptop, "big", "smaller")
	if left := w.flush(); !left.Equal || w.read(pod, "big") != "smaller" {
		t.Errorf("%+v", left)
	}
	w.equal()
	w.end() // before it is unmounted
}

func TestAFolderOfTheLaptopsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give files away")
	}
	w := newWorld(t)
	w.config.Share = &volume.Share{UID: 1000, GID: 1000}
	check(t, os.Chown(w.folder[laptop], 1000, 1000))
	w.write(pod, "d/theirs", "x")
	for _, name := range []string{"", "d", "d/theirs"} {
		check(t, os.Chown(w.path(pod, name), 33, 44))
	}
	w.start()
	for range 2 { // a second pass finds nothing to do
		if left := w.flush(); !left.Equal {
			t.Fatalf("%+v", left)
		}
	}
	w.write(laptop, "d/mine", "y")
	check(t, os.Chown(w.path(laptop, "d/mine"), 1000, 1000))
	check(t, os.Chmod(w.path(laptop, "d/theirs"), 0o775))
	w.flush()
	for name, want := range map[string]string{"d/theirs": "100755 33:44", "d/mine": "100644 33:44"} {
		var st unix.Stat_t
		check(t, unix.Lstat(w.path(pod, name), &st))
		if got := fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid); got != want {
			t.Errorf("%s in the pod: %s", name, got)
		}
	}
}
