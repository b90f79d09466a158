package decide

import (
	"cmp"
	"sync/atomic"

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
	Moved    *atomic.Int64 // of Put: the bytes that have moved so far, for who tells of it
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

func (s Step) removes(side Side) bool {
	return s.To == side && (s.Verb == Remove || s.Verb == Clear)
}
