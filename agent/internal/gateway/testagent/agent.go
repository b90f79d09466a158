package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

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
	return map[string]any{"net": header.Net, "epoch": header.Epoch}, nil
}

type early struct {
	net.Conn
	reader *bufio.Reader
}

func (e *early) Read(b []byte) (int, error) { return e.reader.Read(b) }
