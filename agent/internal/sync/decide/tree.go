package decide

import (
	"maps"
	"path"
	"slices"
	"strings"

	"devcluster/agent/internal/sync/volume"
)

// Node is one name in the tree.
type Node struct {
	Base   *Base
	Coming *Coming
	View   [2]View
	// Rewrite: the laptop has it with other bytes.
	Rewrite bool
	// Busy: something is being done about it; it is left alone meanwhile.
	Busy bool
	// Waits: something failed; it is left alone until that is tried again.
	Waits bool
	// Allowed: somebody has said that it may be deleted.
	Allowed bool
	// Stuck is why it can't be done, however often it is tried.
	Stuck string

	name     string
	parent   *Node
	below    map[string]*Node
	conflict string
	seen     [2]uint32 // the last scan that told it
	dirty    bool      // to be decided about
	touched  bool      // something below is
}

// Tree is a volume as both sides have it. It is not safe for use by several goroutines.
type Tree struct {
	OneWay bool

	root      *Node
	bases     int
	inodes    [2]map[uint64][]*Node
	left      [2]map[uint64]*Node // what is gone from a side, by its inode: it may have been renamed
	scan      [2]uint32
	conflicts map[*Node]bool
	files     [2]int
	bytes     [2]int64
	rewrites  func(path string) bool
}

// NewTree makes an empty tree; rewrites tells which paths have other bytes on the laptop.
func NewTree(rewrites func(path string) bool) *Tree {
	return &Tree{
		root: &Node{name: "."}, conflicts: map[*Node]bool{}, rewrites: rewrites,
		inodes: [2]map[uint64][]*Node{{}, {}}, left: [2]map[uint64]*Node{{}, {}},
	}
}

// Path is the node's, relative to the root.
func (n *Node) Path() string {
	if n.parent == nil || n.parent.parent == nil {
		return n.name
	}
	return n.parent.Path() + "/" + n.name
}

func (n *Node) depth() (depth int) {
	for ; n.parent != nil; n = n.parent {
		depth++
	}
	return depth
}

// Find gives the node of a path; nil where nobody ever told of it.
func (t *Tree) Find(name string) *Node {
	n := t.root
	if name == "." {
		return n
	}
	for step := range strings.SplitSeq(name, "/") {
		if n = n.below[step]; n == nil {
			return nil
		}
	}
	return n
}

// At gives the node of a path, made where there is none.
func (t *Tree) At(name string) *Node {
	n := t.root
	if name == "." {
		return n
	}
	end := 0
	for step := range strings.SplitSeq(name, "/") {
		end += len(step) + 1
		next := n.below[step]
		if next == nil {
			next = &Node{name: step, parent: n, Rewrite: t.rewrites != nil && t.rewrites(name[:end-1])}
			if n.below == nil {
				n.below = map[string]*Node{}
			}
			n.below[step] = next
		}
		n = next
	}
	return n
}

// Totals are the files of a side, and their bytes.
func (t *Tree) Totals(side Side) (files int, bytes int64) { return t.files[side], t.bytes[side] }

// Conflicts are the paths that wait for a decision.
func (t *Tree) Conflicts() map[string]string {
	found := make(map[string]string, len(t.conflicts))
	for n := range t.conflicts {
		found[n.Path()] = n.conflict
	}
	return found
}

// Gone is whether a side has nothing of this name.
func (n *Node) Gone() bool {
	return n.View[Pod].Item.Kind == volume.None || n.View[Laptop].Item.Kind == volume.None
}

// Touch has a node decided about at the next plan.
func (t *Tree) Touch(n *Node) {
	n.dirty = true
	for n = n.parent; n != nil && !n.touched; n = n.parent {
		n.touched = true
	}
}

// Below are the nodes in it, by their names.
func (n *Node) Below() map[string]*Node { return n.below }

// Open is whether something is still to be done about a node.
func (n *Node) Open() bool { return n.dirty || n.Busy }

// SetBase changes what both had.
func (t *Tree) SetBase(n *Node, base *Base) {
	if n.Base != nil {
		t.bases--
	}
	if base != nil {
		t.bases++
	} else {
		t.arrive(n)
	}
	n.Base, n.Coming, n.Allowed = base, nil, false
	t.Touch(n)
}

// leave notes that a file is gone from a side which had it like the other one.
func (t *Tree) leave(n *Node, side Side, item volume.Item) {
	if n.Base != nil && item.Kind == volume.File && item == n.Base.Item[side] {
		t.left[side][item.Inode] = n
	}
}

// arrive forgets that.
func (t *Tree) arrive(n *Node) {
	for side, left := range t.left {
		if n.Base != nil && left[n.Base.Item[side].Inode] == n {
			delete(left, n.Base.Item[side].Inode)
		}
	}
}

// Each calls see for every node that has a base.
func (t *Tree) Each(see func(path string, n *Node)) { each(t.root, see) }

func each(n *Node, see func(path string, n *Node)) {
	if n.Base != nil {
		see(n.Path(), n)
	}
	for _, name := range slices.Sorted(maps.Keys(n.below)) {
		each(n.below[name], see)
	}
}

// BeginScan: what is not told until EndScan is not there.
func (t *Tree) BeginScan(side Side) { t.scan[side]++ }

// EndScan forgets what was not told since BeginScan.
func (t *Tree) EndScan(side Side) { t.sweep(t.root, side) }

func (t *Tree) sweep(n *Node, side Side) {
	if n.View[side].Item.Kind != volume.None && n.seen[side] != t.scan[side] {
		t.set(n, side, volume.Item{})
	}
	for _, below := range n.below {
		t.sweep(below, side)
	}
}

// Tell notes what a side tells.
func (t *Tree) Tell(side Side, told volume.Told) {
	if told.Listing {
		t.list(side, told)
		return
	}
	n := t.At(path.Clean(told.Path))
	n.seen[side] = t.scan[side]
	t.set(n, side, told.Item)
	if told.Item.Kind != volume.Dir {
		t.clear(n, side)
	}
	if told.Item.Kind == volume.File && told.Item.Names > 1 {
		t.sameInode(n, side, told.Item)
	}
}

// list: only these are in the folder.
func (t *Tree) list(side Side, told volume.Told) {
	n := t.Find(told.Path)
	if n == nil {
		return
	}
	left := make(map[string]bool, len(told.Names))
	for _, name := range told.Names {
		left[name] = true
	}
	for name, below := range n.below {
		if !left[name] && below.View[side].Item.Kind != volume.None {
			t.set(below, side, volume.Item{})
			t.clear(below, side)
		}
	}
}

// clear: a name that is no folder has nothing in it.
func (t *Tree) clear(n *Node, side Side) {
	for _, below := range n.below {
		t.set(below, side, volume.Item{})
		t.clear(below, side)
	}
}

// sameInode: a write by one name of a file is told of that name only.
func (t *Tree) sameInode(n *Node, side Side, item volume.Item) {
	for _, other := range slices.Clone(t.inodes[side][item.Inode]) {
		if other != n && other.View[side].Item.Kind == volume.File {
			t.set(other, side, item)
		}
	}
}

func (t *Tree) set(n *Node, side Side, item volume.Item) {
	before := n.View[side]
	if before.Item == item {
		return
	}
	t.count(n, side, before.Item, -1)
	if item.Kind == volume.None {
		t.leave(n, side, before.Item)
	}
	now := View{Item: item}
	if before.Known && item.Kind == volume.File && item.SameContent(before.Item) {
		now.Digest, now.Known = before.Digest, true
	}
	n.View[side] = now
	n.Stuck = ""
	t.count(n, side, item, 1)
	t.Touch(n)
}

// count keeps what is known of a side as a whole.
func (t *Tree) count(n *Node, side Side, item volume.Item, by int) {
	if item.Kind == volume.File {
		t.files[side] += by
		t.bytes[side] += int64(by) * item.Size
	}
	if item.Inode == 0 {
		return
	}
	names := t.inodes[side][item.Inode]
	if by > 0 {
		names = append(names, n)
	} else {
		names = slices.DeleteFunc(names, func(other *Node) bool { return other == n })
	}
	if len(names) == 0 {
		delete(t.inodes[side], item.Inode)
	} else {
		t.inodes[side][item.Inode] = names
	}
}

// Read notes a digest, if it is of what the side still has.
func (t *Tree) Read(n *Node, side Side, item volume.Item, digest volume.Digest) {
	if view := &n.View[side]; item.SameContent(view.Item) {
		view.Digest, view.Known = digest, true
	}
	t.Touch(n)
}

// prune drops a node of which nothing is known any more.
func (t *Tree) prune(n *Node) {
	if n.parent != nil && n.Base == nil && n.Coming == nil && len(n.below) == 0 && !n.Busy &&
		n.View[Pod].Item.Kind == volume.None && n.View[Laptop].Item.Kind == volume.None {
		delete(n.parent.below, n.name)
		delete(t.conflicts, n)
	}
}

// Keep decides for a side: of a node and all below it that one is kept. False where there is nothing to decide.
func (t *Tree) Keep(n *Node, side Side) bool {
	found := t.conflicts[n] || t.isHeld(n)
	if found {
		t.keepOne(n, side)
	}
	for _, below := range n.below {
		found = t.Keep(below, side) || found
	}
	return found
}

// isHeld: it was deleted on one side only.
func (t *Tree) isHeld(n *Node) bool {
	pod, laptop := n.View[Pod].Item.Kind, n.View[Laptop].Item.Kind
	return n.dirty && n.Base != nil && (pod == volume.None) != (laptop == volume.None)
}

// keepOne: the other side is as if it had not changed, with all that is below it there.
func (t *Tree) keepOne(n *Node, side Side) {
	other := side.Other()
	base := &Base{Digest: n.View[other].Digest}
	base.Item[side], base.Item[other] = volume.Item{Kind: Unlike}, n.View[other].Item
	t.SetBase(n, base)
	n.Allowed, n.Stuck = true, ""
	for _, below := range n.below {
		t.keepOne(below, side)
	}
}
