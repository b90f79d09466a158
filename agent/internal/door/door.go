// Package door is where the host process hands the gateway its lanes and asks it things.
//
// The door is a TCP port, published on the laptop's 127.0.0.1: every program of the laptop may knock. The first
// line says who comes and what for; without the token nothing else is read.
package door

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	maxKnock  = 4 << 10
	knockTime = 10 * time.Second
	// maxUnknown bounds the connections that have not shown the token yet.
	maxUnknown = 64
)

// Conn is a connection that can end its own direction alone.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// Backend takes what comes through the door. Its methods own conn and return when it is over.
type Backend interface {
	// Lane gets the bytes of a lane to the agent of pod.
	Lane(ctx context.Context, conn net.Conn, pod, id string)
	// Control gets a conversation in JSON lines. It calls welcome before it writes anything, at a moment from
	// which on the other side may count on being known.
	Control(ctx context.Context, conn net.Conn, welcome func() error)
	// Stream gets one connection of the laptop's, to an address (host:port) that the pod reaches. It calls
	// welcome once that connection stands, or with the reason why it does not.
	Stream(ctx context.Context, conn Conn, to string, welcome func(error) error)
}

// Door lets in who knows the token.
type Door struct {
	token   [sha256.Size]byte
	backend Backend
	unknown chan struct{}
}

// New makes a door. token must not be empty.
func New(token string, backend Backend) *Door {
	return &Door{token: sha256.Sum256([]byte(token)), backend: backend, unknown: make(chan struct{}, maxUnknown)}
}

// Serve accepts until ctx ends, then closes the listener and waits for the connections.
func (d *Door) Serve(ctx context.Context, listener net.Listener) error {
	var open sync.WaitGroup
	defer open.Wait()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil { // out of descriptors: the connections that are open are worth more than this one
			time.Sleep(100 * time.Millisecond)
			continue
		}
		open.Go(func() { d.serve(ctx, conn) })
	}
}

type knock struct {
	Token string `json:"token"`
	Open  string `json:"open"`
	Pod   string `json:"pod"`
	Lane  string `json:"lane"`
	To    string `json:"to"`
}

func (d *Door) serve(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	asked, rest, err := d.admit(conn)
	stop()
	if err != nil {
		refuse(conn, err)
		_ = conn.Close()
		return
	}
	welcome := func() error {
		_, err := conn.Write([]byte("{\"ok\":true}\n"))
		return err
	}
	switch asked.Open {
	case "control":
		d.backend.Control(ctx, rest, welcome)
		return
	case "stream":
		d.backend.Stream(ctx, rest, asked.To, func(failed error) error {
			if failed != nil {
				refuse(conn, failed)
				return nil
			}
			return welcome()
		})
		return
	}
	if welcome() != nil {
		_ = conn.Close()
		return
	}
	d.backend.Lane(ctx, rest, asked.Pod, asked.Lane)
}

// admit reads the first line. What the other side sent behind it is in the connection that it returns.
func (d *Door) admit(conn net.Conn) (knock, Conn, error) {
	select {
	case d.unknown <- struct{}{}:
		defer func() { <-d.unknown }()
	default:
		return knock{}, nil, errors.New("too many strangers at the door")
	}
	if err := conn.SetDeadline(time.Now().Add(knockTime)); err != nil {
		return knock{}, nil, err
	}
	reader := bufio.NewReaderSize(conn, maxKnock)
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return knock{}, nil, errors.New("expected one line of JSON")
	}
	var asked knock
	if json.Unmarshal(line, &asked) != nil {
		return knock{}, nil, errors.New("expected one line of JSON")
	}
	shown := sha256.Sum256([]byte(asked.Token))
	if subtle.ConstantTimeCompare(shown[:], d.token[:]) != 1 {
		return knock{}, nil, errors.New("the token is not this gateway's")
	}
	asked.Token = ""
	if err := check(asked); err != nil {
		return knock{}, nil, err
	}
	return asked, behind(conn.(*net.TCPConn), reader), conn.SetDeadline(time.Time{})
}

func check(asked knock) error {
	switch {
	case asked.Open == "control":
		return nil
	case asked.Open == "stream" && asked.To == "":
		return errors.New("a stream needs to")
	case asked.Open == "stream":
		return nil
	case asked.Open != "lane":
		return errors.New("open: expected lane, stream or control")
	case asked.Pod == "" || asked.Lane == "":
		return errors.New("a lane needs pod and lane")
	}
	return nil
}

func refuse(conn net.Conn, reason error) {
	line, err := json.Marshal(map[string]string{"error": reason.Error()})
	if err != nil {
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(append(line, '\n'))
}

// behind gives conn with what the reader has taken in already.
func behind(conn *net.TCPConn, reader *bufio.Reader) Conn {
	early, _ := reader.Peek(reader.Buffered())
	if len(early) == 0 {
		return conn
	}
	return &prefixed{Conn: conn, early: append([]byte(nil), early...)}
}

type prefixed struct {
	Conn
	early []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.early) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.early)
	p.early = p.early[n:]
	return n, nil
}
