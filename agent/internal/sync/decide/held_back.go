package decide

import (
	"slices"

	"devcluster/agent/internal/sync/volume"
)

// leastHeld is below how many deletions none is held back.
const leastHeld = 10

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

// moved is whether what the other side has deleted lives on there by another name.
func (p *planner) moved(step Step) bool {
	other := step.To.Other()
	return step.Node.Base != nil && len(p.tree.inodes[other][step.Node.Base.Item[other].Inode]) > 0
}
