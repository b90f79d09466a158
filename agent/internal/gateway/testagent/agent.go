package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"devcluster/agent/internal/dns"
	"devcluster/agent/internal/lane"
)

type agent struct {
	private ed25519.PrivateKey
	laptop  ed25519.PublicKey

	mu       sync.Mutex
	sessions map[string]*lane.Session
}

// command is one line of stdin.
type command struct {
	Do    string `json:"do"`
	Door  string `json:"door"`
	Token string `json:"token"`
	Pod   string `json:"pod"`
	Lane  string `json:"lane"`
	From  string `json:"from"`
	To    string `json:"to"`
	Send  string `json:"send"`
	How   string `json:"how"`
	Bytes int64  `json:"bytes"`
	Count int    `json:"count"`
}

func runAgent([]string) error {
	laptopPublic, laptopPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	agentPublic, agentPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(laptopPrivate)
	if err != nil {
		return err
	}
	a := &agent{private: agentPrivate, laptop: laptopPublic, sessions: map[string]*lane.Session{}}
	ports, err := serveCluster()
	if err != nil {
		return err
	}
	say(map[string]any{
		"key":   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"agent": sshLine(agentPublic), "ports": ports,
	})
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		var asked command
		if err := json.Unmarshal(scanner.Bytes(), &asked); err != nil {
			return err
		}
		answer, err := a.do(asked)
		if err != nil {
			answer = map[string]any{"error": lane.FromError(err).Name, "text": err.Error()}
		}
		say(answer)
	}
	return scanner.Err()
}

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}

func sshLine(key ed25519.PublicKey) string {
	blob := binary.BigEndian.AppendUint32(nil, 11)
	blob = append(blob, "ssh-ed25519"...)
	blob = binary.BigEndian.AppendUint32(blob, uint32(len(key)))
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(append(blob, key...)) + " test"
}

func (a *agent) do(asked command) (map[string]any, error) {
	switch asked.Do {
	case "lane":
		return a.openLane(asked)
	case "drop":
		a.mu.Lock()
		defer a.mu.Unlock()
		_ = a.sessions[asked.Lane].Close()
		delete(a.sessions, asked.Lane)
		return map[string]any{}, nil
	case "inbound":
		return a.inbound(asked)
	case "rate":
		return a.rate(asked)
	case "parallel":
		return a.parallel(asked)
	}
	return nil, fmt.Errorf("unknown command %q", asked.Do)
}

func (a *agent) openLane(asked command) (map[string]any, error) {
	conn, err := net.Dial("tcp", asked.Door)
	if err != nil {
		return nil, err
	}
	knock, err := json.Marshal(map[string]string{"token": asked.Token, "open": "lane", "pod": asked.Pod, "lane": asked.Lane})
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(append(knock, '\n')); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	if err != nil {
		return nil, err
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(line), &answer); err != nil || answer["ok"] != true {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	session, err := lane.Server(ctx, &early{conn, reader}, a.private, a.laptop)
	if err != nil {
		return nil, err
	}
	header, hello, err := session.Accept(ctx)
	if err != nil {
		return nil, err
	}
	if err := hello.Answer(nil); err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.sessions[asked.Lane] = session
	a.mu.Unlock()
	go serveLane(session)
	return map[string]any{"net": header.Net, "epoch": header.Epoch, "lane": header.Lane}, nil
}

type early struct {
	net.Conn
	reader *bufio.Reader
}

func (e *early) Read(b []byte) (int, error) { return e.reader.Read(b) }

func serveLane(session *lane.Session) {
	for {
		header, stream, err := session.Accept(context.Background())
		if err != nil {
			return
		}
		go serveStream(header, stream)
	}
}

func serveStream(header lane.Header, stream *lane.Stream) {
	switch header.Net {
	case "dns":
		_ = stream.Answer(nil)
		resolver().ServeStream(context.Background(), stream)
		return
	case "udp":
		serveUDP(header, stream)
		return
	}
	conn, err := dial("tcp", header.To)
	if err != nil {
		_ = stream.Answer(err)
		return
	}
	if stream.Answer(nil) == nil {
		lane.Splice(stream, conn.(*net.TCPConn))
	}
}

func dial(network, to string) (net.Conn, error) {
	address, err := netip.ParseAddrPort(to)
	if err != nil {
		return nil, err
	}
	switch address.Addr().As4()[2] {
	case 1:
		time.Sleep(3 * time.Second)
		return nil, syscall.ETIMEDOUT
	case 2:
		return nil, syscall.EHOSTUNREACH
	}
	return net.Dial(network, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(address.Port()))))
}

func serveUDP(header lane.Header, stream *lane.Stream) {
	conn, err := dial("udp", header.To)
	_ = stream.Answer(err)
	if err != nil {
		return
	}
	go func() {
		buffer := make([]byte, 0xffff)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			_, _ = stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(n)), buffer[:n]...))
		}
	}()
	for {
		message, err := dns.ReadMessage(stream) // the same frame
		if err != nil {
			_ = conn.Close()
			return
		}
		_, _ = conn.Write(message)
	}
}

// resolver is the pod's: it knows one Service.
func resolver() *dns.Resolver {
	known := "wordpress-mariadb.wordpress.svc.cluster.local"
	return &dns.Resolver{
		IsLocal: func(string) bool { return true },
		Laptop: func(_ context.Context, name string) (dns.Found, error) {
			switch name {
			case known:
				return dns.Found{Addresses: []netip.Addr{netip.MustParseAddr("10.99.0.9")}, TTL: 5 * time.Second}, nil
			case "many.wordpress.svc.cluster.local":
				var many []netip.Addr
				for i := range 200 {
					many = append(many, netip.AddrFrom4([4]byte{10, 99, 0, byte(i)}))
				}
				return dns.Found{Addresses: many, TTL: time.Second}, nil
			}
			return dns.Found{}, dns.ErrNotFound
		},
		Remember: func(netip.Addr, time.Duration) {},
	}
}

func (a *agent) open(asked command) (*lane.Stream, error) {
	a.mu.Lock()
	session := a.sessions[asked.Lane]
	a.mu.Unlock()
	if session == nil {
		return nil, errors.New("no such lane")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return session.OpenTCP(ctx, lane.Header{From: asked.From, To: asked.To})
}

// inbound opens a connection to the application as a caller of the cluster would.
func (a *agent) inbound(asked command) (map[string]any, error) {
	stream, err := a.open(asked)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }()
	begin := time.Now()
	switch asked.How {
	case "abort":
		_, _ = stream.Write([]byte(asked.Send))
		_, _ = io.ReadFull(stream, make([]byte, len(asked.Send)))
		stream.Abort()
		return map[string]any{}, nil
	case "bulk":
		go func() { _, _ = io.CopyN(stream, zero{}, asked.Bytes); _ = stream.CloseWrite() }()
		n, err := io.Copy(io.Discard, stream)
		return map[string]any{"bytes": n, "mb_s": rateOf(n, begin)}, err
	}
	if _, err := stream.Write([]byte(asked.Send)); err != nil {
		return nil, err
	}
	if err := stream.CloseWrite(); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(stream)
	return map[string]any{"text": string(text)}, err
}

// rate opens Count inbound connections, eight at a time.
func (a *agent) rate(asked command) (map[string]any, error) {
	begin := time.Now()
	var group sync.WaitGroup
	var failed sync.Map
	for worker := range 8 {
		group.Go(func() {
			for i := range asked.Count / 8 {
				each := asked
				each.From = fmt.Sprintf("10.99.7.%d:%d", worker+1, 1024+i)
				stream, err := a.open(each)
				if err != nil {
					failed.Store(err.Error(), true)
					continue
				}
				_ = stream.CloseWrite()
				_, _ = io.Copy(io.Discard, stream)
				_ = stream.Close()
			}
		})
	}
	group.Wait()
	var first error
	failed.Range(func(text, _ any) bool { first = errors.New(text.(string)); return false })
	return map[string]any{"per_second": float64(asked.Count) / time.Since(begin).Seconds()}, first
}

// parallel sends Bytes of noise on Count connections at once and wants the same back.
func (a *agent) parallel(asked command) (map[string]any, error) {
	begin := time.Now()
	failures := make(chan error, asked.Count)
	for i := range asked.Count {
		each := asked
		each.From = fmt.Sprintf("10.99.8.%d:%d", i%250+1, 2000+i)
		go func() { failures <- a.mirror(each, uint64(i)) }()
	}
	var first error
	for range asked.Count {
		if err := <-failures; first == nil {
			first = err
		}
	}
	return map[string]any{"mb_s": rateOf(asked.Bytes*int64(asked.Count), begin)}, first
}

func (a *agent) mirror(asked command, seed uint64) error {
	stream, err := a.open(asked)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	noise := func() io.Reader { return io.LimitReader(rand8(seed), asked.Bytes) }
	go func() { _, _ = io.Copy(stream, noise()); _ = stream.CloseWrite() }()
	want, got := sha256.New(), sha256.New()
	_, _ = io.Copy(want, noise())
	if n, err := io.Copy(got, stream); err != nil || n != asked.Bytes {
		return fmt.Errorf("%d of %d bytes came back: %w", n, asked.Bytes, err)
	}
	if string(want.Sum(nil)) != string(got.Sum(nil)) {
		return errors.New("other bytes came back")
	}
	return nil
}

func rand8(seed uint64) io.Reader {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return mathrand.NewChaCha8(key)
}

func rateOf(n int64, begin time.Time) float64 { return float64(n) / 1e6 / time.Since(begin).Seconds() }

type zero struct{}

func (zero) Read(b []byte) (int, error) { return len(b), nil }
