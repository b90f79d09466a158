// Package connect is the agent's one TCP port: kubelet's probes, and the door
// for lanes and for control, by HTTP's Upgrade, because that is what crosses an
// API server.
//
// The problem: the port is reachable by every pod of the cluster, and the agent
// lives on the application's memory.
//
// Rules:
//   - nothing is done for who has not proved a key: a header of at most 8 KiB in
//     5 seconds, ten more seconds for the proof, 64 such connections at once;
//   - beyond 64 the address with the most loses its oldest, so that whoever sits
//     on connections never keeps kubelet or the laptop out;
//   - one request a connection, read and answered by hand: an HTTP server's
//     keep-alive, bodies and trailers are only ways in.
package connect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Limits for who has not proved a key.
const (
	maxRequest     = 8 << 10
	requestTimeout = 5 * time.Second
	proofTimeout   = 10 * time.Second
	maxUnproved    = 64
)

// Paths of the port.
const (
	pathReady   = "/.devcluster/ready"
	pathLive    = "/.devcluster/live"
	pathConnect = "/.devcluster/connect"
)

// upgrade takes over a connection after its 101. It calls proved once the
// other side has shown its key, and returns when the connection is over.
type upgrade func(ctx context.Context, conn net.Conn, proved func())

// port answers the requests of one listener.
type port struct {
	probe    map[string]func() (bool, string)
	upgrades map[string]upgrade
	waiting  *waiting
}

// serve accepts until ctx ends or the listener breaks.
func (p *port) serve(ctx context.Context, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // out of descriptors: those that wait will give some back
			pause(ctx, 50*time.Millisecond)
			continue
		}
		go p.handle(ctx, conn)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (p *port) handle(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	proved := p.waiting.enter(conn)
	defer proved()
	_ = conn.SetDeadline(time.Now().Add(requestTimeout))
	limited := &io.LimitedReader{R: conn, N: maxRequest}
	buffered := bufio.NewReader(limited)
	request, err := http.ReadRequest(buffered)
	if err != nil {
		refuse(conn, limited.N == 0, err)
		return
	}
	if request.URL.Path != pathConnect {
		p.answerProbe(conn, request)
		return
	}
	take, token := p.choose(request)
	if take == nil {
		reply(conn, http.StatusUpgradeRequired, "upgrade to devcluster-lane or ssh\n")
		return
	}
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", token)
	if err != nil {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(proofTimeout))
	take(ctx, &rest{Conn: conn, read: buffered}, func() {
		_ = conn.SetDeadline(time.Time{})
		proved()
	})
}

func (p *port) answerProbe(conn net.Conn, request *http.Request) {
	probe := p.probe[request.URL.Path]
	switch {
	case probe == nil:
		reply(conn, http.StatusNotFound, "not found\n")
	case request.Method != http.MethodGet && request.Method != http.MethodHead:
		reply(conn, http.StatusMethodNotAllowed, "GET only\n")
	default:
		ok, reason := probe()
		status := http.StatusOK
		if !ok {
			status = http.StatusServiceUnavailable
		}
		reply(conn, status, oneLine(reason))
	}
}

func (p *port) choose(request *http.Request) (upgrade, string) {
	if request.Method != http.MethodGet || !hasToken(request.Header, "Connection", "upgrade") {
		return nil, ""
	}
	for token, take := range p.upgrades {
		if hasToken(request.Header, "Upgrade", token) {
			return take, token
		}
	}
	return nil, ""
}

func hasToken(header http.Header, name, wanted string) bool {
	for _, value := range header.Values(name) {
		for token := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(token), wanted) {
				return true
			}
		}
	}
	return false
}

func oneLine(reason string) string {
	if reason == "" {
		reason = "ok"
	}
	return strings.Join(strings.Fields(reason), " ") + "\n"
}

func refuse(conn net.Conn, tooLong bool, err error) {
	var timeout net.Error
	switch {
	case tooLong:
		reply(conn, http.StatusRequestHeaderFieldsTooLarge, "header too long\n")
	case errors.As(err, &timeout) && timeout.Timeout():
		reply(conn, http.StatusRequestTimeout, "too slow\n")
	case !errors.Is(err, io.EOF):
		reply(conn, http.StatusBadRequest, "not a request\n")
	}
}

func reply(conn net.Conn, status int, body string) {
	_ = conn.SetWriteDeadline(time.Now().Add(requestTimeout))
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(body), body)
}

// rest is a connection of which some was read into a buffer already.
type rest struct {
	net.Conn
	read *bufio.Reader
}

func (r *rest) Read(b []byte) (int, error) {
	if r.read != nil && r.read.Buffered() > 0 {
		return r.read.Read(b)
	}
	r.read = nil
	return r.Conn.Read(b)
}
