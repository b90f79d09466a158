package front

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// again is how long a port that is still taken is left alone.
const again = 100 * time.Millisecond

// own is the listeners on the application's own ports, while it does not run.
type own struct {
	closed    chan struct{}
	listeners []net.Listener // guarded by Front.mu
}

// OpenOwn listens on the application's own ports, as far as it may. A port that
// is taken is tried again: what an application leaves behind is dead a moment
// before its ports are free, and without a front they are the only way in.
func (f *Front) OpenOwn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.own != nil {
		return
	}
	f.own = &own{closed: make(chan struct{})}
	for _, port := range f.config.Ports {
		if err := f.openOwn(port.Port); errors.Is(err, syscall.EADDRINUSE) {
			go f.insist(f.own, port.Port)
		} else if err != nil {
			f.config.Log("port %d can't be held for the application: %v", port.Port, err)
		}
	}
}

// openOwn opens one; with mu.
func (f *Front) openOwn(port int) error {
	listener, err := listen(port)
	if err != nil {
		return err
	}
	f.own.listeners = append(f.own.listeners, listener)
	go f.accept(listener, port)
	return nil
}

func (f *Front) insist(mine *own, port int) {
	ticker := time.NewTicker(again)
	defer ticker.Stop()
	for tries := 1; ; tries++ {
		select {
		case <-mine.closed:
			return
		case <-ticker.C:
		}
		f.mu.Lock()
		var err error
		if f.own == mine {
			err = f.openOwn(port)
		}
		f.mu.Unlock()
		if err == nil {
			return
		}
		if tries == 10 {
			f.config.Log("port %d can't be held for the application yet: %v", port, err)
		}
	}
}

// CloseOwn gives the ports back to the application, which is about to start.
func (f *Front) CloseOwn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.own == nil {
		return
	}
	close(f.own.closed)
	for _, listener := range f.own.listeners {
		_ = listener.Close()
	}
	f.own = nil
}
