package lane

import (
	"encoding/binary"
	"sync"
)

// unread is what lies in this process' windows, arrived and not yet read.
//
// The problem: the budget stops windows from growing, but each stream has
// 256 KiB from the start, and yamux gives no way to offer less. A few hundred
// connections that nobody reads would end the application by its memory limit.
//
// So the bytes are counted as they arrive, and when there are more than twice
// the budget (windows that grew while it lasted, and first ones) the stream that holds the most of them is reset. One connection is
// lost, which had stood still, instead of the container.
var unread struct {
	mu     sync.Mutex
	total  int64
	meters map[*meter]struct{}
}

// meter counts for one lane. It follows yamux' frames in what is read from the
// wire; only the lane's one reader calls see.
type meter struct {
	header [frameHeader]byte
	have   int
	skip   int64

	streams map[uint32]*Stream // guarded by unread.mu
}

const frameHeader = 12

func newMeter() *meter {
	m := &meter{streams: map[uint32]*Stream{}}
	unread.mu.Lock()
	defer unread.mu.Unlock()
	if unread.meters == nil {
		unread.meters = map[*meter]struct{}{}
	}
	unread.meters[m] = struct{}{}
	return m
}

// see takes the next bytes of the wire.
func (m *meter) see(b []byte) {
	for len(b) > 0 {
		if m.skip > 0 {
			passed := min(m.skip, int64(len(b)))
			m.skip -= passed
			b = b[passed:]
			continue
		}
		copied := copy(m.header[m.have:], b)
		b = b[copied:]
		if m.have += copied; m.have < frameHeader {
			return
		}
		m.have = 0
		if m.header[1] == 0 { // a frame of data
			m.skip = int64(binary.BigEndian.Uint32(m.header[8:]))
			m.arrived(binary.BigEndian.Uint32(m.header[4:]), m.skip)
		}
	}
}

func (m *meter) arrived(id uint32, size int64) {
	unread.mu.Lock()
	defer unread.mu.Unlock()
	stream := m.streams[id]
	if stream == nil {
		return
	}
	stream.unread += size
	unread.total += size
	if unread.total > 2*budget.limit.Load() {
		if most := fullest(); most != nil {
			most.settle()
			go most.Abort() // it writes to a wire that may be waiting for us
		}
	}
}

// fullest is the stream that holds the most. The caller has the lock.
func fullest() *Stream {
	var most *Stream
	for m := range unread.meters {
		for _, stream := range m.streams {
			if most == nil || stream.unread > most.unread {
				most = stream
			}
		}
	}
	return most
}

// count begins to count for a stream.
func (m *meter) count(stream *Stream) {
	unread.mu.Lock()
	defer unread.mu.Unlock()
	m.streams[stream.mux.StreamID()] = stream
}

// took notes that the stream's reader has n bytes. What came before the
// stream was counted makes it less than it is, never negative.
func (s *Stream) took(n int) {
	unread.mu.Lock()
	defer unread.mu.Unlock()
	taken := min(int64(n), s.unread)
	s.unread -= taken
	unread.total -= taken
}

// over ends the counting for a stream.
func (s *Stream) over() {
	unread.mu.Lock()
	defer unread.mu.Unlock()
	s.settle()
}

// settle is over for who has the lock.
func (s *Stream) settle() {
	unread.total -= s.unread
	s.unread = 0
	delete(s.session.meter.streams, s.mux.StreamID())
}

// close ends the counting for a lane.
func (m *meter) close() {
	unread.mu.Lock()
	defer unread.mu.Unlock()
	for _, stream := range m.streams {
		stream.settle()
	}
	delete(unread.meters, m)
}
