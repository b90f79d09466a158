package decide

import (
	"maps"
	"slices"

	"devcluster/agent/internal/sync/volume"
)

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
