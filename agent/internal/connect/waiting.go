package connect

import (
	"net"
	"slices"
	"sync"
)

// waiting is the connections that have not proved a key, oldest first.
//
// Where there are too many, the address that has the most of them loses its
// oldest. Taking the oldest of all would let one noisy pod push out kubelet,
// whose probe has been accepted and not read yet, and a pod whose only probe
// in a second failed gets no traffic.
type waiting struct {
	mu    sync.Mutex
	most  int
	conns []stranger
}

type stranger struct {
	conn net.Conn
	host string
}

// enter adds a connection, and closes one where there are too many.
// The function that it returns takes it out, and may be called again.
func (w *waiting) enter(conn net.Conn) (leave func()) {
	w.mu.Lock()
	w.conns = append(w.conns, stranger{conn, hostOf(conn)})
	var crowded net.Conn
	if len(w.conns) > w.most {
		i := w.oldestOfTheMost()
		crowded = w.conns[i].conn
		w.conns = slices.Delete(w.conns, i, i+1)
	}
	w.mu.Unlock()
	if crowded != nil {
		_ = crowded.Close()
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.conns = slices.DeleteFunc(w.conns, func(s stranger) bool { return s.conn == conn })
	}
}

// oldestOfTheMost is the index of the oldest connection of the address that
// has the most, of several such the one that came first.
func (w *waiting) oldestOfTheMost() int {
	count := make(map[string]int, len(w.conns))
	for _, s := range w.conns {
		count[s.host]++
	}
	found, most := 0, 0
	for i, s := range w.conns {
		if count[s.host] > most {
			found, most = i, count[s.host]
		}
	}
	return found
}

// hostOf is the address of conn's other side, without its port.
func hostOf(conn net.Conn) string {
	address := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
