package connect

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"devcluster/agent/internal/lane"
)

const (
	dnsAtOnce   = 128 // questions of one stream under way
	dnsHeader   = 12
	resolvConf  = "/etc/resolv.conf"
	udpResponse = 8 << 10
)

// resolver asks the pod's own nameservers, as its libc would: the same
// servers, in their order, the same patience. Messages pass unread, so that
// the answer is what the application would have got, whatever its type.
type resolver struct {
	servers  []string // host:port
	timeout  time.Duration
	attempts int
}

// parseResolvConf reads what resolv.conf(5) says about servers and patience.
func parseResolvConf(r io.Reader) resolver {
	found := resolver{timeout: 5 * time.Second, attempts: 2}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) < 2:
		case fields[0] == "nameserver":
			found.servers = append(found.servers, net.JoinHostPort(fields[1], "53"))
		case fields[0] == "options":
			found.options(fields[1:])
		}
	}
	if len(found.servers) == 0 {
		found.servers = []string{"127.0.0.1:53"}
	}
	return found
}

func (r *resolver) options(options []string) {
	for _, option := range options {
		name, value, _ := strings.Cut(option, ":")
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			continue
		}
		switch name {
		case "timeout":
			r.timeout = time.Duration(min(n, 30)) * time.Second
		case "attempts":
			r.attempts = min(n, 5)
		}
	}
}

func podResolver() resolver {
	file, err := os.Open(resolvConf)
	if err != nil {
		return parseResolvConf(strings.NewReader(""))
	}
	defer file.Close()
	return parseResolvConf(file)
}

// serveDNS answers the questions of a stream, each when its answer is there.
func serveDNS(ctx context.Context, stream *lane.Stream, ask resolver) {
	defer stream.Close()
	if err := stream.Answer(nil); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := &framer{to: stream}
	places := make(chan struct{}, dnsAtOnce)
	var group sync.WaitGroup
	for {
		question, err := readFrame(stream, nil)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				cancel()
			}
			break
		}
		if len(question) < dnsHeader {
			continue
		}
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			answers.send(ask.exchange(ctx, question))
		})
	}
	group.Wait()
}

// framer writes messages of several goroutines, each behind its length.
type framer struct {
	mu sync.Mutex
	to io.Writer
}

func (f *framer) send(message []byte) {
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(message)), uint16(len(message)))
	frame = append(frame, message...)
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = f.to.Write(frame)
}

// exchange asks one server after the other; one that says it can't tell has the
// next one asked, as libc does. Where nobody answers the answer is SERVFAIL, so
// that the asker need not wait for its own time-out too.
func (r resolver) exchange(ctx context.Context, question []byte) []byte {
	var declined []byte
	for range r.attempts {
		for _, server := range r.servers {
			if ctx.Err() != nil {
				return servFail(question)
			}
			answer, err := r.ask(ctx, server, question)
			switch {
			case err != nil:
			case !declines(answer):
				return answer
			case declined == nil:
				declined = answer
			}
		}
		if declined != nil {
			return declined
		}
	}
	return servFail(question)
}

// declines is SERVFAIL, NOTIMP and REFUSED.
func declines(answer []byte) bool {
	code := answer[3] & 0x0f
	return code == 2 || code == 4 || code == 5
}

func (r resolver) ask(ctx context.Context, server string, question []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	answer, err := askUDP(ctx, server, question)
	if err != nil || !truncated(answer) {
		return answer, err
	}
	if whole, err := askTCP(ctx, server, question); err == nil {
		return whole, nil
	}
	return answer, nil
}

func truncated(message []byte) bool { return message[2]&0x02 != 0 }

func askUDP(ctx context.Context, server string, question []byte) ([]byte, error) {
	conn, err := dialUntil(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	buffer := make([]byte, udpResponse)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		if answers(question, buffer[:n]) {
			return buffer[:n], nil
		}
	}
}

func askTCP(ctx context.Context, server string, question []byte) ([]byte, error) {
	conn, err := dialUntil(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	(&framer{to: conn}).send(question)
	answer, err := readFrame(conn, nil)
	if err == nil && !answers(question, answer) {
		err = errors.New("an answer to another question")
	}
	return answer, err
}

func dialUntil(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	return conn, nil
}

// answers tells whether message is a response with the question's ID.
func answers(question, message []byte) bool {
	return len(message) >= dnsHeader && message[0] == question[0] && message[1] == question[1] && message[2]&0x80 != 0
}

// servFail turns a question into the answer "no server could tell".
func servFail(question []byte) []byte {
	answer := make([]byte, dnsHeader, len(question))
	copy(answer, question)
	answer[2] |= 0x80                 // a response
	answer[3] = answer[3]&0x70 | 0x82 // recursion is available, SERVFAIL
	end, ok := questionEnd(question)
	if !ok {
		end = dnsHeader
		clear(answer[4:6])
	}
	clear(answer[6:12])
	return append(answer, question[dnsHeader:end]...)
}

// questionEnd finds the end of a single question.
func questionEnd(message []byte) (int, bool) {
	if binary.BigEndian.Uint16(message[4:6]) != 1 {
		return 0, false
	}
	at := dnsHeader
	for at < len(message) && message[at] != 0 {
		if message[at] >= 0xc0 { // a pointer: nothing to point at
			return 0, false
		}
		at += 1 + int(message[at])
	}
	at += 1 + 4 // the root, type and class
	return at, at <= len(message)
}
