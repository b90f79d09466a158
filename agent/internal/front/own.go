package front

import (
	"errors"
	"net"
	"net/netip"
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

// OpenOwn listens on the application's own ports, as far as it may: where it
// did itself, and on the declared ones besides. A port that is taken is tried
// again: what an application leaves behind is dead a moment before its ports are
// free, and without a front they are the only way in.
func (f *Front) OpenOwn(heard []netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.own != nil {
		return
	}
	f.own = &own{closed: make(chan struct{})}
	for address, port := range f.places(heard) {
		if err := f.openOwn(address, port); errors.Is(err, syscall.EADDRINUSE) {
			go f.insist(f.own, address, port)
		} else if err != nil {
			f.config.Log("port %d can't be held for the application: %v", port, err)
		}
	}
}

// places are the addresses to listen on, each with its port.
func (f *Front) places(heard []netip.AddrPort) map[string]int {
	found, ports := map[string]int{}, map[int]bool{}
	for _, at := range heard {
		port := int(at.Port())
		ports[port] = true
		if at.Addr().IsUnspecified() {
			found[everywhere(port)] = port
		} else {
			found[at.String()] = port
		}
	}
	for _, declared := range f.config.Ports {
		if !ports[declared.Port] {
			found[everywhere(declared.Port)] = declared.Port
		}
	}
	return found
}

// openOwn opens one; with mu.
func (f *Front) openOwn(address string, port int) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	f.own.listeners = append(f.own.listeners, listener)
	go f.accept(listener, entrance{port: port, own: true})
	return nil
}

func (f *Front) insist(mine *own, address string, port int) {
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
			err = f.openOwn(address, port)
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
