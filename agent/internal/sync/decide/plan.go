package decide

import (
	"cmp"
	"maps"
	"slices"

	"devcluster/agent/internal/sync/volume"
)

// Verb is what a Step does.
type Verb int

// The verbs, in the order in which they are done: folders before what is in them, deletions last.
const (
	Ask    Verb = iota // read To's file for its digest
	Clear              // delete what is in a folder that becomes something else
	Make               // a folder
	Put                // the other side's file, link or pipe
	Tie                // a hard link to From
	Dress              // owner, mode and time
	Remove             // what the other side has deleted
	Settle             // the base alone
)

// Step changes one name on one side: what it shall be (Want), what it is now (Expect), what the other side has.
type Step struct {
	Verb     Verb
	Node     *Node
	Path     string
	To       Side
	Want     volume.Item
	Expect   volume.Item
	Source   volume.Item
	From     string        // of Tie; of Put a file on side To that may have the same bytes, or ""
	FromItem volume.Item   // what From is on side To
	Digest   volume.Digest // of From
	Base     *Base         // of Settle; nil: forgotten
	Allowed  bool          // somebody has decided for it
	Counts   bool          // a deletion that counts where they are too many
}

// Options of a plan.
type Options struct {
	// MayRemove: deletions on this side are complete enough to be judged as a whole.
	MayRemove [2]bool
	// Removed is how many were done on this side a short time ago.
	Removed [2]int
}

// Plan is what is to be done now.
type Plan struct {
	Steps []Step
	// Held are the names whose deletion on a side is not believed.
	Held [2][]string
	// Pending are the names that are not equal yet: those of Steps, and those that wait.
	Pending      int
	PendingBytes int64
}

// leastHeld is below how many deletions none is held back.
const leastHeld = 10

type planner struct {
	tree    *Tree
	options Options
	steps   []Step
	pending map[*Node]bool
	putting map[*Node]bool
}

// fate is whether anything is left of a name when all steps are done.
type fate int

const (
	dead fate = iota
	alive
	unclear // something has to be seen first
)

// Plan decides about everything that was told or done since the last one.
func (t *Tree) Plan(options Options) Plan {
	p := &planner{tree: t, options: options, pending: map[*Node]bool{}, putting: map[*Node]bool{}}
	for _, view := range t.root.View { // a side without its root has told nothing yet
		if view.Item.Kind != volume.Dir {
			return Plan{}
		}
	}
	p.visit(t.root)
	var plan Plan
	for _, side := range []Side{Pod, Laptop} {
		plan.Held[side] = p.hold(side)
	}
	plan.Steps = p.steps
	slices.SortStableFunc(plan.Steps, order)
	plan.Pending = len(p.pending)
	for n := range p.pending {
		plan.PendingBytes += max(n.View[Pod].Item.Size, n.View[Laptop].Item.Size)
	}
	return plan
}

func order(a, b Step) int {
	return cmp.Or(cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Rank(), b.Rank()), cmp.Compare(a.Path, b.Path))
}

// Rank orders steps of one verb; those of one rank may be done at the same time.
func (s Step) Rank() int {
	switch s.Verb {
	case Make:
		return s.Node.depth()
	case Clear, Remove:
		return -s.Node.depth()
	case Dress:
		if s.Want.Kind == volume.Dir {
			return 1000 - s.Node.depth()
		}
	}
	return 0
}

// visit plans for a node and all below it of which something is to be decided.
func (p *planner) visit(n *Node) fate {
	switch {
	case n.Busy:
		p.pending[n] = true
		return unclear
	case !n.dirty && !n.touched:
		return n.fate()
	}
	verdict := n.decide(p.tree.OneWay)
	if n.Stuck != "" {
		verdict = Verdict{Conflict: n.Stuck}
	}
	p.note(n, verdict.Conflict)
	if verdict.Conflict != "" {
		n.dirty, n.touched = false, false
		return alive
	}
	fate := p.act(n, verdict)
	n.touched = false
	for _, below := range n.below {
		n.touched = n.touched || below.dirty || below.touched
	}
	return fate
}

func (n *Node) fate() fate {
	if n.View[Pod].Item.Kind == volume.None && n.View[Laptop].Item.Kind == volume.None {
		return dead
	}
	return alive
}

func (n *Node) decide(oneWay bool) Verdict {
	return Case{Base: n.Base, Coming: n.Coming, View: n.View, OneWay: oneWay, Rewrite: n.Rewrite}.Decide()
}

func (p *planner) note(n *Node, conflict string) {
	n.conflict = conflict
	if conflict == "" {
		delete(p.tree.conflicts, n)
		return
	}
	p.tree.conflicts[n] = true
}

func (p *planner) act(n *Node, verdict Verdict) fate {
	if n.View[Pod].Item.Kind == volume.Other || n.View[Laptop].Item.Kind == volume.Other {
		n.dirty = false // what may be in it is not seen
		return alive
	}
	if verdict.Ask[Pod] || verdict.Ask[Laptop] {
		p.pending[n] = true
		p.ask(n, verdict)
		return unclear
	}
	if side, folder := n.becomes(verdict); folder {
		return p.replace(n, side, verdict)
	}
	for _, side := range []Side{Pod, Laptop} {
		if want := verdict.Want[side]; want != nil && want.Kind == volume.None {
			return p.remove(n, side)
		}
	}
	if verdict.Want[Pod] == nil && verdict.Want[Laptop] == nil {
		n.dirty = false
		p.settle(n, verdict)
	} else {
		p.pending[n] = true
		p.want(n, verdict)
	}
	below := p.below(n)
	if verdict.Forget {
		p.tree.prune(n)
		return below
	}
	return alive
}

// below visits what is in a folder; the fate is that of the one with the best.
func (p *planner) below(n *Node) fate {
	result := dead
	for _, name := range slices.Sorted(maps.Keys(n.below)) {
		below := n.below[name]
		if fate := p.visit(below); fate == alive || fate == unclear && result == dead {
			result = fate
		}
		p.tree.prune(below)
	}
	return result
}

func (p *planner) settle(n *Node, verdict Verdict) {
	switch {
	case verdict.Settle != nil:
		p.steps = append(p.steps, Step{Verb: Settle, Node: n, Path: n.Path(), Base: verdict.Settle})
	case verdict.Forget && (n.Base != nil || n.Coming != nil):
		p.steps = append(p.steps, Step{Verb: Settle, Node: n, Path: n.Path()})
	}
}

func (p *planner) ask(n *Node, verdict Verdict) {
	for _, side := range []Side{Pod, Laptop} {
		if verdict.Ask[side] && !n.Waits {
			p.steps = append(p.steps, Step{Verb: Ask, Node: n, Path: n.Path(), To: side, Expect: n.View[side].Item})
		}
	}
}

// want adds the step that makes a name what it shall be on one side. Where each side changed something else it
// takes several plans: attributes go to a side before its bytes travel.
func (p *planner) want(n *Node, verdict Verdict) {
	to := Pod
	if verdict.Want[to] == nil || verdict.travels && verdict.from != to && verdict.Want[to.Other()] != nil {
		to = Laptop
	}
	if n.Waits {
		return
	}
	want := *verdict.Want[to]
	step := Step{Node: n, Path: n.Path(), To: to, Want: want, Expect: n.View[to].Item, Source: n.View[to.Other()].Item}
	arrives := verdict.Content && verdict.from != to
	switch {
	case want.Kind == step.Expect.Kind && want.Link == step.Expect.Link && !arrives:
		step.Verb = Dress
	case want.Kind == volume.Dir:
		step.Verb = Make
	default:
		step.Verb = Put
		if !p.tie(&step) {
			return
		}
		if step.Verb == Put && step.Source.Kind == volume.File {
			p.renamed(&step)
		}
	}
	p.steps = append(p.steps, step)
}

// tie makes a file that is another name of one which the other side has already a link to that; false where
// that one is on its way.
func (p *planner) tie(step *Step) bool {
	n, from := step.Node, step.To.Other()
	if step.Source.Kind != volume.File || step.Source.Names < 2 || n.Rewrite {
		return true
	}
	for _, other := range p.tree.inodes[from][step.Source.Inode] {
		switch {
		case other == n || other.Rewrite:
		case p.putting[other]:
			return false
		case other.settled(step.To):
			step.Verb, step.From, step.FromItem, step.Digest = Tie, other.Path(), other.View[step.To].Item, other.Base.Digest
			return true
		}
	}
	p.putting[n] = true
	return true
}

// renamed finds what the other side had by another name: its bytes need not travel.
func (p *planner) renamed(step *Step) {
	from := step.To.Other()
	before := p.tree.left[from][step.Source.Inode]
	if before == nil || before.Base == nil || before == step.Node || step.Node.Rewrite || before.Rewrite || before.Busy {
		return
	}
	was, there := before.Base.Item[from], before.View[step.To].Item
	if was.Size == step.Source.Size && was.Mtime == step.Source.Mtime && there == before.Base.Item[step.To] {
		step.From, step.FromItem, step.Digest = before.Path(), there, before.Base.Digest
	}
}

// settled is whether a file on one side is what the base says. A new name of it changed its ctime and its number
// of names: who relies on this has it read again.
func (n *Node) settled(side Side) bool {
	if n.Base == nil || n.Busy {
		return false
	}
	for _, at := range []Side{side, side.Other()} {
		now, before := n.View[at].Item, n.Base.Item[at]
		now.Ctime, now.Names = before.Ctime, before.Names
		if now != before {
			return false
		}
	}
	return true
}

// becomes is the side whose folder shall be something else.
func (n *Node) becomes(verdict Verdict) (Side, bool) {
	for _, side := range []Side{Pod, Laptop} {
		want := verdict.Want[side]
		if want != nil && want.Kind != volume.Dir && want.Kind != volume.None && n.View[side].Item.Kind == volume.Dir {
			return side, true
		}
	}
	return Pod, false
}

// replace empties a folder that becomes something else, if nothing in it was changed there.
func (p *planner) replace(n *Node, side Side, verdict Verdict) fate {
	p.pending[n] = true
	if n.Waits {
		return unclear
	}
	found := len(p.steps)
	switch p.clear(n, side) {
	case unclear:
		return unclear
	case alive:
		p.steps = p.steps[:found]
		n.dirty = false
		delete(p.pending, n)
		p.note(n, "a folder in which something changed is something else on the other side")
		return alive
	}
	p.want(n, verdict)
	return alive
}

// clear adds deletions for all that is below a node; alive: something was changed there.
func (p *planner) clear(n *Node, side Side) fate {
	result := dead
	for _, below := range n.below {
		item := below.View[side].Item
		if item.Kind == volume.None {
			continue
		}
		at := Case{Base: below.Base, View: below.View, Rewrite: below.Rewrite}.compare(side)
		switch {
		case item.Kind == volume.Other || at == changed:
			return alive
		case below.Busy || below.Waits:
			result = unclear
			continue
		case at == unknown:
			p.steps = append(p.steps, Step{Verb: Ask, Node: below, Path: below.Path(), To: side, Expect: item})
			result = unclear
			continue
		}
		switch p.clear(below, side) {
		case alive:
			return alive
		case unclear:
			result = unclear
		}
		if result == dead {
			p.pending[below] = true
			p.steps = append(p.steps, Step{Verb: Clear, Node: below, Path: below.Path(), To: side, Expect: item})
		}
	}
	return result
}

// remove deletes what the other side has deleted; a folder only when nothing is left in it, else the other side
// gets it back.
func (p *planner) remove(n *Node, side Side) fate {
	p.pending[n] = true
	item := n.View[side].Item
	if item.Kind == volume.Dir {
		switch p.below(n) {
		case unclear:
			return unclear
		case alive:
			if !n.Waits {
				p.steps = append(p.steps, Step{
					Verb: Make, Node: n, Path: n.Path(), To: side.Other(), Want: item, Source: item,
				})
			}
			return alive
		}
	}
	if n.Waits {
		return unclear
	}
	p.steps = append(p.steps, Step{Verb: Remove, Node: n, Path: n.Path(), To: side, Expect: item})
	return dead
}

// hold takes the deletions on a side out of the plan: all where they are too many to be believed (those are
// named), or where more may be to come.
func (p *planner) hold(side Side) (held []string) {
	counted := p.options.Removed[side]
	for at := range p.steps {
		step := &p.steps[at]
		step.Allowed = step.Node.Allowed
		if step.removes(side) && !step.Allowed && !p.moved(*step) {
			step.Counts = true
			counted++
		}
	}
	tooMany := counted >= leastHeld && 2*counted > p.tree.bases+p.options.Removed[side]
	if !tooMany && p.options.MayRemove[side] {
		return nil
	}
	p.steps = slices.DeleteFunc(p.steps, func(step Step) bool {
		empties := step.To == side && step.Expect.Kind == volume.Dir && step.Verb == Put
		if step.Node.Allowed || !step.removes(side) && !empties {
			return false
		}
		if tooMany {
			held = append(held, step.Path)
			delete(p.pending, step.Node)
		}
		return true
	})
	slices.Sort(held)
	return held
}

func (s Step) removes(side Side) bool {
	return s.To == side && (s.Verb == Remove || s.Verb == Clear)
}

// moved is whether what the other side has deleted lives on there by another name.
func (p *planner) moved(step Step) bool {
	other := step.To.Other()
	return step.Node.Base != nil && len(p.tree.inodes[other][step.Node.Base.Item[other].Inode]) > 0
}
