package connect

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"devcluster/agent/internal/lane"
)

// nameserver answers "slow" only after "quick" was asked, "big" truncated by
// UDP, and everything by the ID and its own bytes.
func nameserver(t *testing.T) string {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packets.Close(); streams.Close() })
	quick := make(chan struct{})
	go func() {
		for {
			buffer := make([]byte, 512)
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			go func() {
				message := buffer[:n]
				message[2] |= 0x80
				switch {
				case strings.Contains(string(message), "slow"):
					<-quick
				case strings.Contains(string(message), "quick"):
					close(quick)
				case strings.Contains(string(message), "big"):
					message[2] |= 0x02
				}
				_, _ = packets.WriteTo(message, from)
			}()
		}
	}()
	go func() {
		for {
			conn, err := streams.Accept()
			if err != nil {
				return
			}
			message, err := readFrame(conn, nil)
			if err == nil {
				message[2] |= 0x80
				(&framer{to: conn}).send(append(message, "the whole answer"...))
			}
			_ = conn.Close()
		}
	}()
	return packets.LocalAddr().String()
}

func question(id uint16, name string) []byte {
	message := binary.BigEndian.AppendUint16(nil, id)
	message = append(message, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, byte(len(name)))
	message = append(message, name...)
	return append(message, 0, 0, 1, 0, 1)
}

func TestDNSAnswersEachInItsOwnTime(t *testing.T) {
	w := newWorld(t)
	server := nameserver(t)
	w.port.resolve = func() resolver {
		return resolver{servers: []string{server}, timeout: 5 * time.Second, attempts: 1}
	}
	stream, err := w.standing(t).Open(t.Context(), lane.Header{Net: "dns"})
	if err != nil {
		t.Fatal(err)
	}
	out := &framer{to: stream}
	out.send(question(1, "slow"))
	out.send([]byte("short"))
	out.send(question(2, "big"))
	out.send(question(3, "quick"))
	_ = stream.CloseWrite()
	got := map[uint16]string{}
	for range 3 {
		message, err := readFrame(stream, nil)
		if err != nil {
			t.Fatal(err)
		}
		got[binary.BigEndian.Uint16(message)] = string(message)
	}
	if len(got) != 3 || !strings.HasSuffix(got[2], "the whole answer") {
		t.Errorf("%v", got)
	}
}

func TestDNSTellsFailureBeforeTheAskerGivesUp(t *testing.T) {
	closed, _ := net.ListenPacket("udp", "127.0.0.1:0")
	address := closed.LocalAddr().String()
	_ = closed.Close()
	asked := question(7, "name")
	answer := resolver{servers: []string{address}, timeout: time.Second, attempts: 2}.exchange(t.Context(), asked)
	if !answers(asked, answer) || answer[3]&0x0f != 2 || string(answer[dnsHeader:]) != string(asked[dnsHeader:]) {
		t.Errorf("%x for %x", answer, asked)
	}
}

func TestResolvConf(t *testing.T) {
	text := "search a b\nnameserver 10.96.0.10\nnameserver fd00::a\noptions ndots:5 timeout:2 attempts:3 rotate\n"
	got := parseResolvConf(strings.NewReader(text))
	if len(got.servers) != 2 || got.servers[1] != "[fd00::a]:53" || got.timeout != 2*time.Second || got.attempts != 3 {
		t.Errorf("%+v", got)
	}
}

// coded is a nameserver with one answer for all.
func coded(t *testing.T, code byte) string {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packets.Close() })
	go func() {
		for {
			message := make([]byte, 512)
			n, from, err := packets.ReadFrom(message)
			if err != nil {
				return
			}
			message[2] |= 0x80
			message[3] = code
			_, _ = packets.WriteTo(message[:n], from)
		}
	}()
	return packets.LocalAddr().String()
}

func TestDNSAsksTheNextServerWhereOneCannotTell(t *testing.T) {
	const servFail, noSuchName, refused = 2, 3, 5
	for _, c := range []struct {
		codes []byte
		want  byte
	}{{[]byte{refused, 0}, 0}, {[]byte{servFail, noSuchName}, noSuchName}, {[]byte{noSuchName, 0}, noSuchName}, {[]byte{refused, servFail}, refused}} {
		ask := resolver{timeout: 5 * time.Second, attempts: 2}
		for _, code := range c.codes {
			ask.servers = append(ask.servers, coded(t, code))
		}
		if answer := ask.exchange(t.Context(), question(9, "name")); answer[3]&0x0f != c.want {
			t.Errorf("%v: %d", c.codes, answer[3]&0x0f)
		}
	}
}
