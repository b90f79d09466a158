package decide

import "devcluster/agent/internal/sync/volume"

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
