// Package lane joins the agent and the gateway by one byte stream: TLS 1.3
// with both keys pinned, and inside it yamux, a stream for each connection.
//
// The problem: a new connection through the API server costs three round trips
// and ten milliseconds of its time. So a few connections, the lanes, are opened
// beforehand, and what the application opens becomes a stream on one of them:
// one round trip, and only because connect() must know its result.
//
// Rules:
//   - whoever holds the pinned key is the peer; names, dates and authorities
//     of a certificate mean nothing;
//   - a stream that nobody reads stops at its window and stops nobody else;
//   - windows grow only as long as the process' one budget of memory lasts;
//   - a lane on which nothing at all arrives for about ten seconds is dead: the
//     gateway pings every two, the agent where it has said nothing for three, and
//     an answer may be late, behind a full queue.
//
// The naive way, one proxied connection for each connection of the
// application, was measured: 80 to 150 new connections a second.
package lane

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-yamux/v5"
)

// ALPN is the protocol's name in TLS; it is raised with the protocol.
const ALPN = "devcluster/1"

// Limits of a lane. They are the same at both ends.
const (
	handshakeTimeout = 10 * time.Second // TLS, and the proof of the key
	headerTimeout    = 10 * time.Second // from a stream's SYN to its header
	pingInterval     = 2 * time.Second  // so often the gateway does
	measureInterval  = 30 * time.Second // so often the agent does, for its windows, where it answers pings
	pingTimeout      = 4 * time.Second  // for the next one, not for the lane
	silence          = 9 * time.Second  // then the lane is dead
	writeTimeout     = 10 * time.Second // one frame that the network doesn't take
	maxStreams       = 4096             // open on one lane, both directions
	backlog          = 1024             // opened and not yet accepted
	maxFrame         = 64 << 10
	initialWindow    = 256 << 10
	usualWindow      = 4 << 20
	maxWindow        = 16 << 20 // over a distance, where the budget is large and nobody else needs it
)

// Session is one lane. All its methods may be called from any goroutine.
type Session struct {
	mux      *yamux.Session
	meter    *meter
	accepted chan accepted
	first    time.Duration // the first round trip, of the proof of the key
	sent     atomic.Int64
	received atomic.Int64
}

type accepted struct {
	header Header
	stream *Stream
}

// Server is the agent's end of a lane: it proves that it holds key and lets in
// only the laptop's. ctx bounds the handshake, not the session. On an error
// conn is closed.
func Server(ctx context.Context, conn net.Conn, key ed25519.PrivateKey, laptop ed25519.PublicKey) (*Session, error) {
	config, err := tlsConfig(key, laptop)
	if err != nil {
		return nil, closeWith(conn, err)
	}
	config.ClientAuth = tls.RequireAnyClientCert
	wire := newWire(conn)
	session, err := handshake(ctx, wire, tls.Server(wire.raw, config), yamux.Server, measureInterval)
	if err != nil {
		return nil, closeWith(conn, err)
	}
	return session, nil
}

// Client is the gateway's end of a lane. It returns when the agent has
// accepted the laptop's key: TLS 1.3 alone would tell a refusal only later.
// ctx bounds the handshake, not the session. On an error conn is closed.
func Client(ctx context.Context, conn net.Conn, key ed25519.PrivateKey, agent ed25519.PublicKey) (*Session, error) {
	config, err := tlsConfig(key, agent)
	if err != nil {
		return nil, closeWith(conn, err)
	}
	config.InsecureSkipVerify = true // the key is pinned in VerifyConnection
	wire := newWire(conn)
	session, err := handshake(ctx, wire, tls.Client(wire.raw, config), yamux.Client, pingInterval)
	if err != nil {
		return nil, closeWith(conn, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = session.Close() })
	defer stop()
	if session.first, err = session.mux.Ping(); err != nil {
		return nil, closeWith(session, fmt.Errorf("the agent did not accept the key: %w", err))
	}
	return session, nil
}

func closeWith(c io.Closer, err error) error {
	_ = c.Close()
	return err
}

type muxer func(net.Conn, *yamux.Config, func() (yamux.MemoryManager, error)) (*yamux.Session, error)

func handshake(
	ctx context.Context, wire *wire, secure *tls.Conn, start muxer, interval time.Duration,
) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("lane handshake: %w", err)
	}
	wire.secure(secure)
	mux, err := start(wire, muxConfig(interval), newSpan)
	if err != nil {
		return nil, err
	}
	session := &Session{mux: mux, meter: wire.meter, accepted: make(chan accepted)}
	go session.acceptLoop()
	go watch(session, wire)
	return session, nil
}

func muxConfig(interval time.Duration) *yamux.Config {
	config := yamux.DefaultConfig()
	config.AcceptBacklog = backlog
	config.EnableKeepAlive = false // it takes a full queue for a dead lane; see watch
	config.MeasureRTTInterval = interval
	config.ConnectionWriteTimeout = pingTimeout // of pings; wire has its own for frames
	config.MaxIncomingStreams = 2 * maxStreams  // beyond it yamux' read loop itself would have to write
	config.InitialStreamWindowSize = initialWindow
	config.MaxStreamWindowSize = maxWindow
	config.MaxMessageSize = maxFrame
	config.ReadBufSize = 16 << 10
	config.LogOutput = io.Discard
	return config
}

// OpenTCP opens a stream for one connection: Open with Net "tcp".
func (s *Session) OpenTCP(ctx context.Context, header Header) (*Stream, error) {
	header.Net = "tcp"
	return s.Open(ctx, header)
}

// Open opens a stream, sends its header and waits for the answer. A refusal
// by the other side is an *ErrnoError; errors.Is(err, syscall.ECONNREFUSED)
// and the like hold for it. When ctx ends the stream is reset.
func (s *Session) Open(ctx context.Context, header Header) (*Stream, error) {
	frame, err := encode(header)
	if err != nil {
		return nil, err
	}
	if s.mux.NumStreams() >= maxStreams {
		return nil, &ErrnoError{Name: "EAGAIN", Text: "too many connections on this lane"}
	}
	stream, err := s.openStream(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, stream.Abort)
	defer stop()
	if err := stream.ask(frame); err != nil {
		stream.Abort()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	if !stop() {
		stream.Abort()
		return nil, ctx.Err()
	}
	return stream, nil
}

// openStream leaves ctx to us: a yamux stream whose opening is cancelled stays
// in the session's books for ever.
func (s *Session) openStream(ctx context.Context) (*Stream, error) {
	type result struct {
		stream *yamux.Stream
		err    error
	}
	done := make(chan result, 1)
	go func() {
		stream, err := s.mux.OpenStream(context.Background())
		done <- result{stream, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("the lane is down: %w", r.err)
		}
		return newStream(s, r.stream), nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				_ = r.stream.Reset()
			}
		}()
		return nil, ctx.Err()
	}
}

// Accept gives the next stream that the other side opened, with its header.
// The caller must call Answer on it. A stream that is slow to say what it
// wants does not hold up the others.
func (s *Session) Accept(ctx context.Context) (Header, *Stream, error) {
	select {
	case a := <-s.accepted:
		return a.header, a.stream, nil
	case <-ctx.Done():
		return Header{}, nil, ctx.Err()
	case <-s.Done():
		return Header{}, nil, net.ErrClosed
	}
}

func (s *Session) acceptLoop() {
	for {
		raw, err := s.mux.AcceptStream()
		if err != nil {
			return
		}
		stream := newStream(s, raw)
		if s.mux.NumStreams() > maxStreams {
			go stream.Abort()
			continue
		}
		go s.greet(stream)
	}
}

// greet reads the header of an accepted stream and hands it to Accept.
func (s *Session) greet(stream *Stream) {
	_ = stream.SetReadDeadline(time.Now().Add(headerTimeout))
	var header Header
	if err := decode(stream.mux, &header); err != nil {
		stream.Abort()
		return
	}
	_ = stream.SetReadDeadline(time.Time{})
	select {
	case s.accepted <- accepted{header, stream}:
	case <-s.Done():
	}
}

// RTT is the smoothed round trip; the agent's end does not know it at first.
func (s *Session) RTT() time.Duration {
	if smoothed := s.mux.RTT(); smoothed > 0 {
		return smoothed
	}
	return s.first
}

// Done is closed when the lane is down.
func (s *Session) Done() <-chan struct{} { return s.mux.CloseChan() }

// Streams is the number of open streams, for choosing the least loaded lane.
func (s *Session) Streams() int { return s.mux.NumStreams() }

// Sent is how many bytes the streams of this lane were given to send.
func (s *Session) Sent() int64 { return s.sent.Load() }

// Received is how many bytes were read from the streams of this lane.
func (s *Session) Received() int64 { return s.received.Load() }

// Close ends the lane and resets its streams.
func (s *Session) Close() error { return s.mux.Close() }

var errShortKey = errors.New("not an Ed25519 key")
