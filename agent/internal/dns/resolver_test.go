package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func query(t *testing.T, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 77, RecursionDesired: true})
	parsed, err := dnsmessage.NewName(name + ".")
	if err != nil {
		t.Fatal(err)
	}
	_ = builder.StartQuestions()
	_ = builder.Question(dnsmessage.Question{Name: parsed, Type: kind, Class: dnsmessage.ClassINET})
	message, err := builder.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// read gives an answer as text: its code and its addresses.
func read(t *testing.T, answer []byte) string {
	t.Helper()
	var message dnsmessage.Message
	if err := message.Unpack(answer); err != nil {
		t.Fatal(err)
	}
	if message.ID != 77 || !message.Response {
		t.Errorf("header: %+v", message.Header)
	}
	words := []string{strings.TrimPrefix(message.RCode.String(), "RCode")}
	for _, record := range message.Answers {
		if a, ok := record.Body.(*dnsmessage.AResource); ok {
			words = append(words, netip.AddrFrom4(a.A).String())
		}
	}
	return strings.Join(words, " ")
}

// world is what a resolver has around it.
type world struct {
	podFails   bool
	hostIsGone bool
	remembered []netip.Addr
}

func (w *world) resolver() *Resolver {
	return &Resolver{
		Upstream: func(_ context.Context, message []byte) ([]byte, error) {
			asked, err := parseQuestion(message)
			switch {
			case w.podFails:
				return nil, errors.New("no lane")
			case err != nil:
				return nil, err
			case asked.name == "db.shop.svc.cluster.local":
				return asked.addresses(Found{Addresses: []netip.Addr{netip.MustParseAddr("10.96.0.7")}}), nil
			case asked.name == "broken.example":
				return asked.code(dnsmessage.RCodeServerFailure), nil
			case asked.name == "refused.example":
				return asked.code(dnsmessage.RCodeRefused), nil
			}
			return asked.code(dnsmessage.RCodeNameError), nil
		},
		Laptop: func(_ context.Context, name string) (Found, error) {
			if w.hostIsGone {
				return Found{}, errors.New("gone")
			}
			if strings.HasPrefix(name, "nobody") {
				return Found{}, ErrNotFound
			}
			return Found{Addresses: []netip.Addr{netip.MustParseAddr("192.168.7.9")}, TTL: time.Second}, nil
		},
		Remember: func(address netip.Addr, _ time.Duration) { w.remembered = append(w.remembered, address) },
		IsLocal:  func(name string) bool { return MatchAny([]string{"*.corp.example"}, name) },
		Inside:   []string{"cluster.local", "shop.svc.cluster.local", "c.internal"},
		Host:     netip.MustParseAddr("172.28.0.1"),
	}
}

func TestWhoAnswers(t *testing.T) {
	const a, aaaa, srv = dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeSRV
	for _, test := range []struct {
		name  string
		kind  dnsmessage.Type
		world world
		want  string
		local bool
	}{
		{name: "db.shop.svc.cluster.local", kind: a, want: "Success 10.96.0.7"},
		{name: "DB.shop.svc.cluster.local", kind: a, want: "Success 10.96.0.7"},
		{name: "gone.shop.svc.cluster.local", kind: a, want: "NameError"},
		{name: "node.c.internal", kind: a, want: "NameError"},
		{name: "db", kind: a, want: "NameError"},
		{name: "only.laptop.example", kind: a, want: "Success 192.168.7.9", local: true},
		{name: "only.laptop.example", kind: aaaa, want: "Success", local: true},
		{name: "_x._tcp.laptop.example", kind: srv, want: "NameError"},
		{name: "broken.example", kind: a, want: "Success 192.168.7.9", local: true},
		{name: "refused.example", kind: a, want: "Refused"},
		{name: "nobody.example", kind: a, want: "NameError"},
		{name: "nobody.example", kind: aaaa, want: "NameError"},
		{name: "db.corp.example", kind: a, want: "Success 192.168.7.9", local: true},
		{name: "nobody.corp.example", kind: a, want: "NameError"},
		{name: "db.corp.example", kind: a, world: world{hostIsGone: true}, want: "ServerFailure"},
		{name: "only.laptop.example", kind: a, world: world{hostIsGone: true}, want: "NameError"},
		// A pod that can't be asked is no reason to believe that it does not know the name.
		{name: "only.laptop.example", kind: a, world: world{podFails: true}, want: "ServerFailure"},
		{name: HostName, kind: a, world: world{podFails: true}, want: "Success 172.28.0.1"},
		{name: HostName, kind: aaaa, want: "Success"},
	} {
		t.Run(test.name+" "+test.kind.String(), func(t *testing.T) {
			world := test.world
			if got := read(t, world.resolver().Answer(t.Context(), query(t, test.name, test.kind))); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if local := len(world.remembered) > 0; local != test.local {
				t.Errorf("remembered %v", world.remembered)
			}
		})
	}
}

func TestWhatIsNoQuestionGetsNoAnswer(t *testing.T) {
	for _, message := range [][]byte{nil, {1, 2, 3}, make([]byte, headerSize)} {
		if answer := (&world{}).resolver().Answer(t.Context(), message); answer != nil {
			t.Errorf("%v: %v", message, answer)
		}
	}
}

func TestMatchAny(t *testing.T) {
	patterns := []string{"*.corp.example", "Exact.Example."}
	for name, want := range map[string]bool{
		"a.corp.example": true, "a.b.corp.example": true, "corp.example": false, "acorp.example": false,
		"exact.example": true, "x.exact.example": false,
	} {
		if got := MatchAny(patterns, name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTruncate(t *testing.T) {
	asked, err := parseQuestion(query(t, "many.example", dnsmessage.TypeA))
	if err != nil {
		t.Fatal(err)
	}
	long := asked.addresses(Found{Addresses: make200()})
	plain := query(t, "many.example", dnsmessage.TypeA)
	short := Truncate(plain, long)
	var message dnsmessage.Message
	if err := message.Unpack(short); err != nil || !message.Truncated || len(short) > smallest || len(message.Questions) != 1 {
		t.Errorf("%d bytes, %+v, %v", len(short), message.Header, err)
	}
	if wide := Truncate(withOPT(t, 4096), long); len(wide) != len(long) {
		t.Errorf("%d of %d bytes, although 4096 were offered", len(wide), len(long))
	}
}

func make200() []netip.Addr {
	var all []netip.Addr
	for i := range 200 {
		all = append(all, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	return all
}

func withOPT(t *testing.T, size int) []byte {
	t.Helper()
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 77})
	_ = builder.StartQuestions()
	_ = builder.Question(dnsmessage.Question{Name: dnsmessage.MustNewName("many.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET})
	_ = builder.StartAdditionals()
	var header dnsmessage.ResourceHeader
	if err := header.SetEDNS0(size, dnsmessage.RCodeSuccess, false); err != nil {
		t.Fatal(err)
	}
	_ = builder.OPTResource(header, dnsmessage.OPTResource{})
	message, err := builder.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// Two processes may choose the same ID, and answers may come in any order.
func TestExchangeTellsQuestionsApart(t *testing.T) {
	ours, theirs := net.Pipe()
	exchange := NewExchange(ours)
	defer exchange.Close()
	go answerBackwards(theirs, 2)
	var group sync.WaitGroup
	for _, name := range []string{"one.example", "two.example"} {
		group.Go(func() {
			asked := query(t, name, dnsmessage.TypeA)
			answer, err := exchange.Ask(t.Context(), asked)
			if err != nil {
				t.Error(err)
				return
			}
			if string(answer) != string(asked) {
				t.Errorf("%s: got another's answer", name)
			}
		})
	}
	group.Wait()
}

func answerBackwards(stream net.Conn, count int) {
	var messages [][]byte
	for range count {
		message, err := ReadMessage(stream)
		if err != nil {
			return
		}
		messages = append([][]byte{message}, messages...)
	}
	for _, message := range messages {
		_, _ = stream.Write(frame(message))
	}
}

func TestExchangeEndsWithItsStream(t *testing.T) {
	ours, theirs := net.Pipe()
	exchange := NewExchange(ours)
	go func() { _, _ = ReadMessage(theirs); _ = theirs.Close() }()
	if _, err := exchange.Ask(t.Context(), query(t, "a.example", dnsmessage.TypeA)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}
