package decide

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"

	"devcluster/agent/internal/sync/volume"
)

// A tree is written as words: `a/` a folder, `a=X` a file of content X, `a=X:600` with a mode, `a@1` one with a
// later time, `a>b` a link, `a!` what never travels, `a=X*` a file whose content was not read yet.
func parse(t *testing.T, side Side, word string) (string, View) {
	t.Helper()
	item := volume.Item{Mode: 0o644, UID: 33, GID: 33}
	content := word
	if name, mode, found := strings.Cut(content, ":"); found {
		content = name
		if _, err := fmt.Sscanf(mode, "%o", &item.Mode); err != nil {
			t.Fatal(err)
		}
	}
	if name, found := strings.CutSuffix(content, "/"); found {
		item.Kind, item.Inode = volume.Dir, number(side, "inode", name)
		return name, View{Item: item}
	}
	if name, found := strings.CutSuffix(content, "!"); found {
		item.Kind = volume.Other
		return name, View{Item: item}
	}
	if name, target, found := strings.Cut(content, ">"); found {
		item.Kind, item.Link, item.Inode = volume.Link, target, number(side, "inode", name)
		return name, View{Item: item}
	}
	content, later, _ := strings.Cut(content, "@")
	name, text, _ := strings.Cut(content, "=")
	text, unread := strings.CutSuffix(text, "*")
	item.Kind, item.Size, item.Names = volume.File, int64(len(text)), 1
	item.Inode = number(side, "inode", name)
	item.Ctime, item.Mtime = int64(number(side, text, later, fmt.Sprint(item.Mode))>>1), int64(number(Pod, text, later)>>1)
	var digest volume.Digest
	copy(digest[:], text+"................")
	return name, View{Item: item, Digest: digest, Known: !unread}
}

func number(words ...any) uint64 {
	sum := fnv.New64a()
	fmt.Fprint(sum, words...)
	return sum.Sum64()
}

func tree(t *testing.T, base, pod, laptop string) *Tree {
	t.Helper()
	tree := NewTree(nil)
	for _, word := range strings.Fields("./ " + base) {
		name, view := parse(t, Pod, word)
		_, other := parse(t, Laptop, word)
		tree.SetBase(tree.At(name), &Base{Item: [2]volume.Item{view.Item, other.Item}, Digest: view.Digest})
	}
	for side, words := range []string{pod, laptop} {
		for _, word := range strings.Fields("./ " + words) {
			tell(t, tree, Side(side), word)
		}
	}
	return tree
}

func tell(t *testing.T, tree *Tree, side Side, word string) {
	t.Helper()
	name, view := parse(t, side, word)
	tree.Tell(side, volume.Told{Path: name, Item: view.Item})
	if view.Known {
		tree.Read(tree.At(name), side, view.Item, view.Digest)
	}
}

var anything = Options{MayRemove: [2]bool{true, true}}

var verbs = map[Verb]string{Ask: "ask", Clear: "clear", Make: "make", Put: "put", Tie: "tie", Dress: "dress", Remove: "remove"}

// text renders a plan: steps, settled names, conflicts.
func text(tree *Tree, plan Plan) string {
	var lines []string
	for _, step := range plan.Steps {
		side := []string{"pod", "laptop"}[step.To]
		switch {
		case step.Verb == Settle && step.Base == nil:
			lines = append(lines, "forget "+step.Path)
		case step.Verb == Settle:
			lines = append(lines, "settle "+step.Path)
		case step.Verb == Dress:
			lines = append(lines, fmt.Sprintf("dress %s on %s %o", step.Path, side, step.Want.Mode))
		case step.Verb == Tie:
			lines = append(lines, fmt.Sprintf("tie %s on %s to %s", step.Path, side, step.From))
		default:
			lines = append(lines, fmt.Sprintf("%s %s on %s", verbs[step.Verb], step.Path, side))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(tree.Conflicts())) {
		lines = append(lines, "conflict "+path)
	}
	return strings.Join(lines, ", ")
}

func TestPlans(t *testing.T) {
	for _, c := range []struct{ what, base, pod, laptop, plan string }{
		{"equal", "a=A", "a=A", "a=A", ""},
		{"new in the pod", "", "d/ d/a=A", "", "make d on laptop, put d/a on laptop"},
		{"new on the laptop", "", "", "d/ d/a=A", "make d on pod, put d/a on pod"},
		{"new on both, alike", "", "a=A d/ l>x", "a=A d/ l>x", "settle a, settle d, settle l"},
		{"new on both, another mode", "", "a=A:600", "a=A:644", "dress a on laptop 600"},
		{"new on both, unlike", "", "a=A", "a=B", "conflict a"},
		{"new on both, not yet read", "", "a=A*", "a=B*", "ask a on pod, ask a on laptop"},
		{"new on both, another size", "", "a=A*", "a=BB*", "conflict a"},
		{"written in the pod", "a=A", "a=B", "a=A", "put a on laptop"},
		{"written on the laptop", "a=A", "a=A", "a=B", "put a on pod"},
		{"touched, not yet read", "a=A", "a=A*@1", "a=A", "ask a on pod"},
		{"grown, not read", "a=A", "a=AA*", "a=A", "put a on laptop"},
		{"touched, and read", "a=A", "a=A@1", "a=A", "dress a on laptop 644"},
		{"a new mode", "a=A", "a=A", "a=A:755", "dress a on pod 755"},
		{"a mode here, a time there", "a=A", "a=A@1", "a=A:755", "dress a on pod 755"},
		{"a mode here, bytes there", "a=A", "a=B", "a=A:755", "dress a on pod 755"},
		{"both modes", "a=A", "a=A:600", "a=A:755", "dress a on laptop 600"},
		{"written on both", "a=A", "a=B", "a=C", "conflict a"},
		{"written on both, alike", "a=A", "a=B", "a=B", "settle a"},
		{"deleted in the pod", "a=A", "", "a=A", "remove a on laptop"},
		{"deleted on the laptop", "a=A", "a=A", "", "remove a on pod"},
		{"deleted on both", "a=A d/ d/b=B", "d/", "", "remove d on pod, forget a, forget d/b"},
		{"deleted here, written there", "a=A", "a=B", "", "put a on laptop"},
		{"deleted there, written here", "a=A", "", "a=B", "put a on pod"},
		{"a folder deleted", "d/ d/a=A d/e/ d/e/b=B", "d/ d/a=A d/e/ d/e/b=B", "",
			"remove d/e/b on pod, remove d/a on pod, remove d/e on pod, remove d on pod"},
		{"a folder deleted, something new in it", "d/ d/a=A", "d/ d/a=A d/n=N", "", "make d on laptop, put d/n on laptop, remove d/a on pod"},
		{"a folder becomes a file", "d/ d/a=A", "d/ d/a=A", "d=D", "clear d/a on pod, put d on pod"},
		{"a folder becomes a file, written in", "d/ d/a=A", "d/ d/a=B", "d=D", "conflict d"},
		{"a folder becomes a file, not yet read", "d/ d/a=A", "d/ d/a=B*", "d=D", "ask d/a on pod"},
		{"a file becomes a folder", "d=D", "d=D", "d/ d/a=A", "make d on pod, put d/a on pod"},
		{"a file becomes a folder, written", "d=D", "d=E", "d/ d/a=A", "conflict d"},
		{"another link", "l>a", "l>b", "l>a", "put l on laptop"},
		{"a link becomes a file", "l>a", "l=A", "l>a", "put l on laptop"},
		{"a socket", "", "s!", "", ""},
		{"a socket in the way", "", "s!", "s=A", "conflict s"},
		{"what can't be read any more", "d/ d/a=A", "d!", "d/ d/a=A", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			tree := tree(t, c.base, c.pod, c.laptop)
			if got := text(tree, tree.Plan(anything)); got != c.plan {
				t.Errorf("got  %s\nwant %s", got, c.plan)
			}
		})
	}
}

func TestOneWay(t *testing.T) {
	tree := tree(t, "a=A b=B c=C d=D", "a=X b=B c=X", "a=A b=X c=Y d=D n=N")
	tree.OneWay = true
	if got := text(tree, tree.Plan(anything)); got != "put a on laptop, remove d on laptop, conflict c" {
		t.Error(got)
	}
}

func TestModesAreGivenAsFlippedBits(t *testing.T) {
	base := &Base{Item: [2]volume.Item{{Kind: volume.Dir, Mode: 0o640}, {Kind: volume.Dir, Mode: 0o660}}}
	c := Case{Base: base, View: [2]View{{Item: base.Item[Pod]}, {Item: volume.Item{Kind: volume.Dir, Mode: 0o760}}}}
	if want := c.Decide().Want; want[Laptop] != nil || want[Pod] == nil || want[Pod].Mode != 0o740 {
		t.Errorf("%+v", want)
	}
}

func TestAnOwnerIsNotGivenWhereThereIsNone(t *testing.T) {
	theirs := volume.Item{Kind: volume.Dir, UID: 33, GID: 33}
	mine := volume.Item{Kind: volume.Dir, UID: volume.NoOwner, GID: volume.NoOwner}
	c := Case{View: [2]View{{Item: theirs}, {Item: mine}}}
	if verdict := c.Decide(); verdict.Settle == nil {
		t.Errorf("%+v", verdict)
	}
}

func many(prefix string, count int) string {
	words := make([]string, count)
	for i := range words {
		words[i] = fmt.Sprintf("%s%d=A", prefix, i)
	}
	return strings.Join(words, " ")
}

func TestADeletionOfMoreThanHalfIsHeldBack(t *testing.T) {
	for _, c := range []struct{ before, after, removed, held int }{
		{20, 0, 0, 20}, {20, 10, 10, 0}, {30, 15, 15, 0}, {30, 14, 0, 16}, {9, 0, 9, 0}, {10, 0, 0, 10},
	} {
		tree := tree(t, many("f", c.before), many("f", c.before), many("f", c.after))
		plan := tree.Plan(anything)
		if len(plan.Steps) != c.removed || len(plan.Held[Pod]) != c.held || plan.Pending != c.removed {
			t.Errorf("%+v: %d steps, %d held, %d pending", c, len(plan.Steps), len(plan.Held[Pod]), plan.Pending)
		}
	}
}

func TestWhatWasMovedIsNotHeldBack(t *testing.T) {
	tree := tree(t, many("f", 20), many("f", 20), "")
	for i := range 20 {
		_, view := parse(t, Laptop, fmt.Sprintf("f%d=A", i)) // the same inode by another name
		tree.Tell(Laptop, volume.Told{Path: fmt.Sprintf("moved%d", i), Item: view.Item})
	}
	if plan := tree.Plan(anything); len(plan.Steps) != 40 {
		t.Errorf("%s, held %v", text(tree, plan), plan.Held)
	}
}

func TestHeldBackAndDecided(t *testing.T) {
	decided := func(side Side) (*Tree, Plan) {
		tree := tree(t, "d/ "+many("d/f", 20), "d/ "+many("d/f", 20), "d/")
		if plan := tree.Plan(anything); len(plan.Held[Pod]) != 20 {
			t.Fatal("not held")
		}
		if !tree.Keep(tree.Find("d"), side) {
			t.Fatal("nothing to decide")
		}
		return tree, tree.Plan(anything)
	}
	for side, verb := range map[Side]Verb{Laptop: Remove, Pod: Put} {
		tree, plan := decided(side)
		if len(plan.Steps) != 20 || plan.Steps[0].Verb != verb || plan.Steps[0].To != side.Other() {
			t.Errorf("keep %v: %s", side, text(tree, plan))
		}
	}
}

func TestDeletionsWaitUntilTheyAreComplete(t *testing.T) {
	tree := tree(t, "a=A b=B", "a=A b=X", "b=B")
	if plan := tree.Plan(Options{}); text(tree, plan) != "put b on laptop" || plan.Pending != 2 {
		t.Error(text(tree, plan))
	}
}

func TestKeepEndsAConflict(t *testing.T) {
	for _, c := range []struct{ base, pod, laptop, path, keepsPod, keepsLaptop string }{
		{"a=A", "a=B", "a=C", "a", "put a on laptop", "put a on pod"},
		{"d/ d/a=A", "d/ d/a=B d/n=N", "d=D", "d", "make d on laptop, put d/a on laptop, put d/n on laptop", "clear d/a on pod, clear d/n on pod, put d on pod"},
	} {
		for side, want := range []string{c.keepsPod, c.keepsLaptop} {
			tree := tree(t, c.base, c.pod, c.laptop)
			tree.Plan(anything)
			if !tree.Keep(tree.Find("."), Side(side)) {
				t.Error("nothing to decide")
			}
			if got := text(tree, tree.Plan(anything)); got != want {
				t.Errorf("keep %d: got  %s\nwant %s", side, got, want)
			}
		}
	}
	tree := tree(t, "a=A", "a=A", "a=B")
	if tree.Keep(tree.Find("."), Pod) {
		t.Error("there was nothing to decide")
	}
}

func TestWhatIsWrittenAfterKeepIsAConflictAgain(t *testing.T) {
	tree := tree(t, "a=A", "a=B", "a=C")
	tree.Plan(anything)
	tree.Keep(tree.Find("a"), Pod)
	tell(t, tree, Laptop, "a=D")
	if got := text(tree, tree.Plan(anything)); got != "conflict a" {
		t.Error(got)
	}
}

func TestAnotherVolumeHasDeletedNothing(t *testing.T) {
	tree := tree(t, "", "b=NEW c=NEW d=D", "a=A b=B c=MINE d=D")
	for _, name := range []string{"a=A", "b=B", "c=C", "d=D", "e=E"} {
		path, view := parse(t, Laptop, name)
		tree.SetBase(tree.At(path), &Base{Item: [2]volume.Item{{Kind: Fresh}, view.Item}, Digest: view.Digest})
	}
	if got := text(tree, tree.Plan(anything)); got != "put a on pod, put b on laptop, settle d, forget e, conflict c" {
		t.Error(got)
	}
}

func TestHardLinksAreTied(t *testing.T) {
	tree := tree(t, "", "", "")
	_, view := parse(t, Pod, "a=A")
	view.Item.Names = 3
	names := []string{"a", "b", "c"}
	for _, name := range names {
		tree.Tell(Pod, volume.Told{Path: name, Item: view.Item})
	}
	plan := tree.Plan(anything)
	if got := text(tree, plan); got != "put a on laptop" || plan.Pending != 3 {
		t.Fatal(got)
	}
	_, arrived := parse(t, Laptop, "a=A")
	tree.Tell(Laptop, volume.Told{Path: "a", Item: arrived.Item})
	tree.SetBase(tree.Find("a"), &Base{Item: [2]volume.Item{view.Item, arrived.Item}, Digest: arrived.Digest})
	if got := text(tree, tree.Plan(anything)); got != "tie b on laptop to a, tie c on laptop to a" {
		t.Fatal(got)
	}
	// A write by one name is one by all of them.
	_, written := parse(t, Pod, "a=B")
	written.Item.Names, written.Item.Inode = 3, view.Item.Inode
	tree.Tell(Pod, volume.Told{Path: "b", Item: written.Item})
	for _, name := range names {
		if tree.Find(name).View[Pod].Item != written.Item {
			t.Errorf("%s is as before", name)
		}
	}
}

func TestWhatWasRenamedIsMadeOutOfWhatIsThere(t *testing.T) {
	tree := tree(t, "a=A", "a=A", "")
	_, view := parse(t, Laptop, "a=A")
	tree.Tell(Laptop, volume.Told{Path: "a", Item: view.Item})
	tree.Tell(Laptop, volume.Told{Path: "a"})
	moved := view.Item
	moved.Ctime++
	tree.Tell(Laptop, volume.Told{Path: "b", Item: moved})
	plan := tree.Plan(anything)
	if len(plan.Steps) != 2 || plan.Steps[0].Path != "b" || plan.Steps[0].From != "a" || plan.Steps[0].FromItem != tree.Find("a").View[Pod].Item {
		t.Errorf("%s: %+v", text(tree, plan), plan.Steps)
	}
}

func TestAScanForgetsWhatItDoesNotTell(t *testing.T) {
	tree := tree(t, "a=A b=B", "a=A b=B", "a=A b=B")
	tree.BeginScan(Pod)
	tell(t, tree, Pod, "./")
	tell(t, tree, Pod, "b=B")
	tree.EndScan(Pod)
	if got := text(tree, tree.Plan(anything)); got != "remove a on laptop" {
		t.Error(got)
	}
	tree.Tell(Laptop, volume.Told{Path: ".", Listing: true, Names: []string{"b"}})
	if got := text(tree, tree.Plan(anything)); got != "forget a" {
		t.Error(got)
	}
	tree.SetBase(tree.Find("a"), nil)
	tree.Plan(anything)
	if tree.Find("a") != nil {
		t.Error("it is not forgotten")
	}
	if files, bytes := tree.Totals(Laptop); files != 1 || bytes != 1 {
		t.Errorf("%d files, %d bytes", files, bytes)
	}
}

func TestWhatIsStuckIsAConflictUntilSomethingChanges(t *testing.T) {
	tree := tree(t, "a=A", "a=B", "a=A")
	tree.Find("a").Stuck = "it does not hold still"
	if got := text(tree, tree.Plan(anything)); got != "conflict a" {
		t.Error(got)
	}
	tell(t, tree, Pod, "a=C")
	if got := text(tree, tree.Plan(anything)); got != "put a on laptop" {
		t.Error(got)
	}
}

func TestWhatIsBusyOrWaitsIsLeftAlone(t *testing.T) {
	tree := tree(t, "a=A b=B d/ d/c=C", "a=X b=X d/ d/c=C", "a=A b=B")
	tree.Find("a").Busy, tree.Find("b").Waits, tree.Find("d/c").Busy = true, true, true
	if plan := tree.Plan(anything); len(plan.Steps) != 0 || plan.Pending != 4 {
		t.Errorf("%s, %d pending", text(tree, plan), plan.Pending)
	}
}

func TestWhatWasOnItsWayWhenAllWasCutOff(t *testing.T) {
	for _, c := range []struct{ what, pod, laptop, plan string }{
		{"it arrived", "a=B", "a=B", "settle a"},
		{"it arrived, and the laptop went on", "a=B", "a=C", "put a on pod"},
		{"it arrived, and got another mode", "a=B:600", "a=B", "dress a on laptop 600"},
		{"it may have arrived", "a=B*", "a=C", "ask a on pod"},
		{"it did not arrive", "a=A", "a=C", "put a on pod"},
		{"another one came in between", "a=X", "a=C", "conflict a"},
	} {
		tree := tree(t, "a=A", c.pod, c.laptop)
		_, source := parse(t, Laptop, "a=B")
		tree.Find("a").Coming = &Coming{To: Pod, Source: source.Item, Want: source.Item, Digest: source.Digest}
		if got := text(tree, tree.Plan(anything)); got != c.plan {
			t.Errorf("%s: %s", c.what, got)
		}
	}
}

func TestASideWithoutARootHasDeletedNothing(t *testing.T) {
	tree := tree(t, "a=A", "a=A", "a=A")
	tree.Tell(Laptop, volume.Told{Path: "."})
	if plan := tree.Plan(anything); len(plan.Steps) > 0 {
		t.Error(text(tree, plan))
	}
}
