// Package decide says what makes two sides of a volume equal again, from three looks at each name: what both
// had when they last were equal (the base), what the pod has and what the laptop has. Pure: no file is touched.
//
// The problem: both sides change at any time, and neither may lose what it wrote.
//
// Rules:
//   - each side is compared with the base, never with the other side: only so it is known whose change a
//     difference is;
//   - changed on one side: travels. Changed on both into the same: nothing to do. Else a conflict: each side
//     keeps its own until somebody decides;
//   - a change beats a deletion, and a folder lives while something in it does;
//   - mode, owner and time travel by themselves; where both sides changed one of them, the pod's stays;
//   - without a base what only one side has is sent, never deleted;
//   - that more than half of everything shall go at once is not believed.
//
// The naive way, the newer time wins, loses the other one's work.
package decide

import "devcluster/agent/internal/sync/volume"

// Side is one of the two.
type Side int

// The sides. Where both are right, the pod's counts.
const (
	Pod Side = iota
	Laptop
)

// Other is the other side.
func (s Side) Other() Side { return 1 - s }

// Kinds that only a Base has.
const (
	// Unlike anything: what is there now counts as changed. Somebody has decided for this side.
	Unlike volume.Kind = 'x'
	// Fresh: the pod has another volume than before; what is missing in it was never deleted there.
	Fresh volume.Kind = 'n'
)

// Base is a name when both sides had it alike. Digest is of a file's bytes as the laptop has them; Mine: the laptop
// wrote it.
type Base struct {
	Item   [2]volume.Item
	Digest volume.Digest
	Mine   bool
}

// Elsewhere is the base once the pod has another volume. What is missing there was never deleted, and what the
// laptop wrote is not replaced by what another one has brought along.
func (b Base) Elsewhere() *Base {
	b.Item[Pod] = volume.Item{Kind: Fresh}
	if b.Mine {
		b.Item[Laptop] = volume.Item{Kind: Unlike}
	}
	return &b
}

// Coming is a file that was about to be put in its place on a side when all was cut off: what the other side
// had, what it was to be, and the digest. Only the file itself tells whether it arrived.
type Coming struct {
	To     Side
	Source volume.Item
	Want   volume.Item
	Digest volume.Digest
}

// View is what a side has now; the digest is Known once somebody has read the file.
type View struct {
	Item   volume.Item
	Digest volume.Digest
	Known  bool
}

// Verdict is what is to be done about one name: digests to Ask for; else a Conflict; else what a side shall
// have (nil: what it has); else the base, where it is another one than before.
type Verdict struct {
	Ask      [2]bool
	Conflict string
	Want     [2]*volume.Item // of kind None: nothing
	Content  bool            // a file's bytes travel
	Settle   *Base
	Forget   bool

	travels bool // what is new comes from one side
	from    Side
}

// Case is one name.
type Case struct {
	Base    *Base
	Coming  *Coming
	View    [2]View
	OneWay  bool // the pod's side is never changed
	Rewrite bool // the laptop's bytes are not the pod's, so that sizes tell nothing
}

type change int

const (
	same change = iota
	changed
	unknown // the file must be read
)

// Decide looks at one name by itself.
func (c Case) Decide() Verdict {
	pod, laptop := c.View[Pod].Item.Kind, c.View[Laptop].Item.Kind
	if c.Base != nil && c.Base.Item[Pod].Kind == Fresh && pod == volume.None {
		c.Base = nil
	}
	if pod == volume.None && laptop == volume.None {
		return Verdict{Forget: true}
	}
	if pod == volume.Other || laptop == volume.Other {
		return c.untouchable()
	}
	if c.arrived() {
		return Verdict{Ask: [2]bool{c.Coming.To == Pod, c.Coming.To == Laptop}}
	}
	at := [2]change{c.compare(Pod), c.compare(Laptop)}
	if at[Pod] == unknown || at[Laptop] == unknown {
		return Verdict{Ask: [2]bool{at[Pod] == unknown, at[Laptop] == unknown}}
	}
	switch {
	case at[Pod] == same && at[Laptop] == same:
		return c.settle(c.Base.Digest)
	case c.alike():
		return c.settle(c.View[Pod].Digest)
	case at[Laptop] == same:
		return c.travel(Pod)
	case at[Pod] == same && c.OneWay:
		return Verdict{}
	case at[Pod] == same:
		return c.travel(Laptop)
	}
	return c.both()
}

// arrived takes what was on its way for the base, if it is there; true where the file must be read to know.
func (c *Case) arrived() (ask bool) {
	if c.Coming == nil {
		return false
	}
	at := c.View[c.Coming.To]
	if at.Item.Kind != volume.File || c.Base != nil && at.Item.SameContent(c.Base.Item[c.Coming.To]) {
		return false
	}
	if at.Known && at.Digest == c.Coming.Digest {
		base, want := &Base{Digest: c.Coming.Digest, Mine: c.Coming.To == Pod}, c.Coming.Want
		arrived := at.Item // what was changed since is a change
		arrived.Mode, arrived.UID, arrived.GID, arrived.Mtime = want.Mode, want.UID, want.GID, want.Mtime
		base.Item[c.Coming.To], base.Item[c.Coming.To.Other()] = arrived, c.Coming.Source
		c.Base = base
	}
	return !at.Known
}

// untouchable: one side has something that never travels.
func (c Case) untouchable() Verdict {
	side := Pod
	if c.View[Pod].Item.Kind == volume.Other {
		side = Laptop
	}
	switch kind := c.View[side].Item.Kind; {
	case kind == volume.Other, kind == volume.None, c.Base != nil && c.compare(side) == same:
		return Verdict{}
	}
	if side == Laptop {
		return Verdict{Conflict: "the pod has something of this name that can't be read or is no file"}
	}
	return Verdict{Conflict: "the laptop has something of this name that can't be read or is no file"}
}

// compare is what a side did since the base.
func (c Case) compare(side Side) change {
	now, before := c.View[side], volume.Item{}
	if c.Base != nil {
		before = c.Base.Item[side]
	}
	switch {
	case now.Item.Kind != before.Kind:
		return changed
	case now.Item.Kind == volume.Link && now.Item.Link != before.Link:
		return changed
	case now.Item.Kind != volume.File || now.Item.SameContent(before):
		return same
	case now.Known && now.Digest == c.Base.Digest:
		return same
	case now.Known || now.Item.Size != before.Size:
		return changed
	}
	return unknown
}

// alike is whether both sides are known to have the same.
func (c Case) alike() bool {
	pod, laptop := c.View[Pod], c.View[Laptop]
	if pod.Item.Kind != laptop.Item.Kind || pod.Item.Link != laptop.Item.Link {
		return false
	}
	return pod.Item.Kind != volume.File || pod.Known && laptop.Known && pod.Digest == laptop.Digest
}

// both: each side did something else.
func (c Case) both() Verdict {
	pod, laptop := c.View[Pod], c.View[Laptop]
	switch {
	case pod.Item.Kind == volume.None && c.OneWay:
		return Verdict{}
	case pod.Item.Kind == volume.None:
		return c.travel(Laptop)
	case laptop.Item.Kind == volume.None:
		return c.travel(Pod)
	case pod.Item.Kind != laptop.Item.Kind:
		return Verdict{Conflict: "one side has a folder, a link or a file where the other has something else"}
	case pod.Item.Kind == volume.File && (pod.Item.Size == laptop.Item.Size || c.Rewrite) && !(pod.Known && laptop.Known):
		return Verdict{Ask: [2]bool{!pod.Known, !laptop.Known}}
	}
	return Verdict{Conflict: "changed on both sides"}
}

// settle is for a name whose content is equal: what remains is mode, owner and time.
func (c Case) settle(digest volume.Digest) Verdict {
	want := c.merge()
	var verdict Verdict
	for _, side := range []Side{Pod, Laptop} {
		if want[side] != c.View[side].Item && !(side == Pod && c.OneWay) {
			verdict.Want[side] = &want[side]
		}
	}
	if verdict.Want[Pod] != nil || verdict.Want[Laptop] != nil {
		return verdict
	}
	now := Base{Item: [2]volume.Item{c.View[Pod].Item, c.View[Laptop].Item}, Digest: digest}
	now.Mine = c.Base != nil && (c.Base.Mine || c.compare(Laptop) == changed)
	if c.Base == nil || *c.Base != now || c.Coming != nil {
		verdict.Settle = &now
	}
	return verdict
}

// travel gives the other side what this one has.
func (c Case) travel(from Side) Verdict {
	to, have := from.Other(), c.View[from].Item
	want := have
	var verdict Verdict
	if have.Kind == c.View[to].Item.Kind {
		merged := c.merge()
		want.Mode, want.UID, want.GID = merged[to].Mode, merged[to].UID, merged[to].GID
		merged[from].Mtime = have.Mtime
		if merged[from] != have && !(from == Pod && c.OneWay) {
			verdict.Want[from] = &merged[from]
		}
	}
	verdict.Want[to], verdict.Content = &want, have.Kind == volume.File
	verdict.travels, verdict.from = true, from
	return verdict
}

// merge gives mode, owner and a file's time to the side that did not change them.
func (c Case) merge() (want [2]volume.Item) {
	want = [2]volume.Item{c.View[Pod].Item, c.View[Laptop].Item}
	for _, part := range parts {
		theirs, mine := c.did(Pod, part), c.did(Laptop, part)
		switch {
		case theirs:
			c.give(&want[Laptop], Pod, part)
		case mine:
			c.give(&want[Pod], Laptop, part)
		}
	}
	return want
}

// part is one of what merge gives: a getter, and how it is given.
type part struct {
	get  func(volume.Item) uint64
	give func(to *volume.Item, from volume.Item)
}

var (
	mode = part{
		func(i volume.Item) uint64 { return uint64(i.Mode) },
		func(to *volume.Item, from volume.Item) { to.Mode = from.Mode },
	}
	owner = part{
		func(i volume.Item) uint64 { return uint64(i.UID)<<32 | uint64(i.GID) },
		func(to *volume.Item, from volume.Item) {
			if from.UID != volume.NoOwner && to.UID != volume.NoOwner {
				to.UID = from.UID
			}
			if from.GID != volume.NoOwner && to.GID != volume.NoOwner {
				to.GID = from.GID
			}
		},
	}
	mtime = part{
		func(i volume.Item) uint64 { return uint64(i.Mtime) },
		func(to *volume.Item, from volume.Item) { to.Mtime = from.Mtime },
	}
	parts = []*part{&mode, &owner, &mtime}
)

func (c Case) did(side Side, p *part) bool {
	return c.Base == nil || c.Base.Item[side].Kind != c.View[side].Item.Kind ||
		p.get(c.Base.Item[side]) != p.get(c.View[side].Item)
}

// give: of a mode the bits that were flipped, so that a side whose modes are others keeps them.
func (c Case) give(to *volume.Item, from Side, p *part) {
	now := c.View[from].Item
	if p == &mode && c.Base != nil && c.Base.Item[from].Kind == now.Kind && c.Base.Item[from.Other()].Kind == to.Kind {
		to.Mode = c.Base.Item[from.Other()].Mode ^ c.Base.Item[from].Mode ^ now.Mode
		return
	}
	p.give(to, now)
}
