package lane

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-yamux/v5"
)

// DefaultBudget bounds the receive windows of all lanes of a process.
const DefaultBudget = 48 << 20

// budget is the process' own: an agent's lanes share the memory limit of the
// application's container, so that a limit for each lane would bound nothing.
var budget struct {
	limit atomic.Int64
	used  atomic.Int64
}

func init() { budget.limit.Store(DefaultBudget) }

// SetBudget sets how many bytes the windows of all lanes of this process may
// reserve together. A stream always gets its first 256 KiB; beyond that its
// window grows only while the budget lasts, and beyond the usual 4 MiB only
// while a quarter of it is left for others: yamux never takes a window back.
// When more than twice as much has arrived and is not read, the stream that
// holds the most is reset.
func SetBudget(bytes int64) { budget.limit.Store(bytes) }

var errBudget = errors.New("the lanes' memory is spent")

// growth is the priority with which yamux asks for a larger window; a new
// stream asks with 255, and a refusal there would end the whole session.
const growth = 128

// span is one stream's share of the budget.
type span struct {
	mu   sync.Mutex
	size int64
	done bool
}

func newSpan() (yamux.MemoryManager, error) { return &span{}, nil }

func (s *span) ReserveMemory(size int, priority uint8) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return errBudget
	}
	limit := budget.limit.Load()
	if s.size+int64(size) > usualWindow {
		limit -= limit / 4
	}
	used := budget.used.Add(int64(size))
	if priority <= growth && used > limit {
		budget.used.Add(-int64(size))
		return errBudget
	}
	s.size += int64(size)
	return nil
}

func (s *span) ReleaseMemory(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		s.size -= int64(size)
		budget.used.Add(-int64(size))
	}
}

// Done may be called twice: yamux does so when a session ends while a stream
// is being opened.
func (s *span) Done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		s.done = true
		budget.used.Add(-s.size)
	}
}
