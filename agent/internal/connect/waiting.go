package connect

import (
	"container/list"
	"net"
	"sync"
)

// waiting is the connections that have not proved a key, oldest first.
type waiting struct {
	mu    sync.Mutex
	most  int
	conns list.List
}

// enter adds a connection, and closes the oldest where there are too many.
// The function that it returns takes it out, and may be called again.
func (w *waiting) enter(conn net.Conn) (leave func()) {
	w.mu.Lock()
	element := w.conns.PushBack(conn)
	var oldest net.Conn
	if w.conns.Len() > w.most {
		oldest = w.conns.Remove(w.conns.Front()).(net.Conn)
	}
	w.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close()
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.conns.Remove(element) // does nothing for one that is out
	}
}
