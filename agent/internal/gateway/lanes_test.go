package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"devcluster/agent/internal/dns"
	"devcluster/agent/internal/door"
	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/laptop"
)

// pods are the cluster's side of several pods: they note who was asked for what.
type pods struct {
	gateway *Gateway
	key     ed25519.PrivateKey
	laptop  ed25519.PublicKey
	t       *testing.T

	mu    sync.Mutex
	asked map[string]int // "tcp web-0", "dns web-1"
	lanes int
}

func newPods(t *testing.T) *pods {
	t.Helper()
	agent, key, _ := ed25519.GenerateKey(nil)
	public, own, _ := ed25519.GenerateKey(nil)
	end, err := laptop.New(laptop.Config{Key: pemOf(t, own), Agent: sshLine(t, agent)})
	if err != nil {
		t.Fatal(err)
	}
	return &pods{gateway: &Gateway{ctx: t.Context(), end: end}, key: key, laptop: public, t: t, asked: map[string]int{}}
}

func pemOf(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func sshLine(t *testing.T, key ed25519.PublicKey) string {
	t.Helper()
	public, err := ssh.NewPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(public))
}

// open opens a lane of a pod and returns when it is up; the result ends it.
func (p *pods) open(pod string) (drop func()) {
	p.t.Helper()
	ours, theirs := tcpPair(p.t)
	p.lanes++
	id := strconv.Itoa(p.lanes)
	go p.serve(pod, theirs)
	go p.gateway.end.Lane(p.t.Context(), ours, pod, id)
	p.until(func(lanes []laptop.LaneState) bool { return slices.ContainsFunc(lanes, hasID(id)) })
	return func() {
		_ = theirs.Close()
		p.until(func(lanes []laptop.LaneState) bool { return !slices.ContainsFunc(lanes, hasID(id)) })
	}
}

func hasID(id string) func(laptop.LaneState) bool {
	return func(lane laptop.LaneState) bool { return lane.Lane == id }
}

func (p *pods) until(right func([]laptop.LaneState) bool) {
	p.t.Helper()
	guard, look := time.After(20*time.Second), time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !right(p.gateway.end.State().Lanes) {
		select {
		case <-look.C:
		case <-guard:
			p.t.Fatal("never")
		}
	}
}

func tcpPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if ours, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// serve is the agent of a pod: it accepts everything and repeats DNS questions.
func (p *pods) serve(pod string, conn net.Conn) {
	session, err := lane.Server(p.t.Context(), conn, p.key, p.laptop)
	if err != nil {
		return
	}
	for {
		header, stream, err := session.Accept(p.t.Context())
		if err != nil {
			return
		}
		_ = stream.Answer(nil)
		switch header.Net {
		case "dns":
			go p.echo(pod, stream)
		case "tcp":
			p.note("tcp " + pod)
			go func() { _, _ = stream.Read(make([]byte, 1)); stream.Abort() }()
		}
	}
}

func (p *pods) echo(pod string, stream *lane.Stream) {
	for {
		message, err := dns.ReadMessage(stream)
		if err != nil {
			stream.Abort()
			return
		}
		p.note("dns " + pod)
		_, _ = stream.Write(append([]byte{0, byte(len(message))}, message...))
	}
}

func (p *pods) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[what]++
}

const many = 40

// leaveBy opens many connections at once and asks as many names; all of them must go by one pod.
func (p *pods) leaveBy(pod string) {
	p.t.Helper()
	p.mu.Lock()
	clear(p.asked)
	p.mu.Unlock()
	var group sync.WaitGroup
	failed := make(chan error, 2*many)
	for range many {
		group.Go(func() {
			conn, err := p.gateway.reach(byPod, netip.MustParseAddrPort("10.96.0.9:80"))
			if err == nil {
				defer conn.Close()
			}
			failed <- err
		})
		group.Go(func() {
			_, err := p.gateway.askPod(context.Background(), make([]byte, 12))
			failed <- err
		})
	}
	group.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			p.t.Error(err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, kind := range []string{"tcp ", "dns "} {
		if p.asked[kind+pod] < many { // a question may be asked twice
			p.t.Errorf("not by %s: %v", pod, p.asked)
		}
		delete(p.asked, kind+pod)
	}
	if len(p.asked) > 0 {
		p.t.Errorf("by others than %s: %v", pod, slices.Sorted(maps.Keys(p.asked)))
	}
}

func (p *pods) primary(pod string) {
	p.t.Helper()
	if _, err := p.gateway.end.Request(p.t.Context(), "primary", []byte(`{"pod":"`+pod+`"}`)); err != nil {
		p.t.Fatal(err)
	}
}

func TestConnectionsAndNamesLeaveByThePrimaryPod(t *testing.T) {
	p := newPods(t)
	drop := map[string]func(){}
	for _, pod := range []string{"web-0", "web-1", "web-2"} {
		drop[pod] = p.open(pod)
	}
	p.leaveBy("web-0") // nobody said a primary yet: one of them all the same
	p.primary("web-1")
	p.leaveBy("web-1")
	drop["web-1"]()
	p.leaveBy("web-0") // the reserve
	drop["web-1"] = p.open("web-1")
	p.leaveBy("web-1")
	p.primary("web-3")
	p.leaveBy("web-0") // until a lane of it stands
	p.open("web-3")
	p.leaveBy("web-3")
}

func TestAPodWithTwoLanesIsItsOwnReserve(t *testing.T) {
	p := newPods(t)
	p.open("web-0")
	first := p.open("web-1")
	p.open("web-1")
	p.primary("web-1")
	p.leaveBy("web-1")
	first()
	p.leaveBy("web-1")
}

func TestARefusalHasAKind(t *testing.T) {
	end := newPods(t).gateway.end
	for do, kind := range map[string]string{"primary": "bad-request", "dance": "unknown-request"} {
		_, err := end.Request(t.Context(), do, []byte(`{}`))
		var refusal *door.Refusal
		if !errors.As(err, &refusal) || refusal.Kind != kind {
			t.Errorf("%s: %v", do, err)
		}
	}
}
