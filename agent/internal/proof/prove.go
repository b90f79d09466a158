package proof

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"devcluster/agent/internal/lane"
)

// most bounds what a server may say before an answer.
const most = 256 << 10

// Stages of an outcome without an answer.
const (
	connecting = "connect" // nobody accepted the connection
	answering  = "answer"  // whoever accepted did not answer as an agent would
)

// Outcome is what became of one proof.
type Outcome struct {
	Answer *Answer `json:"answer,omitempty"`
	MS     float64 `json:"ms"`
	Stage  string  `json:"stage,omitempty"`
	Errno  string  `json:"errno,omitempty"`
	Text   string  `json:"text,omitempty"`
}

// Prove opens a connection to an address (host:port) of the cluster and asks
// who is behind it.
func Prove(ctx context.Context, key []byte, to string) Outcome {
	begin := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		return failed(connecting, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	message, nonce := question(key)
	if _, err := conn.Write(message); err != nil {
		return failed(answering, err)
	}
	answer, err := listen(conn, key, nonce)
	if err != nil {
		return failed(answering, err)
	}
	return Outcome{Answer: &answer, MS: float64(time.Since(begin).Microseconds()) / 1000}
}

var errStranger = errors.New("whoever accepted the connection is no agent of this workload")

func listen(conn io.Reader, key, nonce []byte) (Answer, error) {
	var received []byte
	buffer := make([]byte, 4<<10)
	for len(received) < most {
		n, err := conn.Read(buffer)
		received = append(received, buffer[:n]...)
		if answer, found := find(key, nonce, received); found {
			return answer, nil
		}
		if errors.Is(err, io.EOF) {
			return Answer{}, errStranger
		}
		if err != nil {
			return Answer{}, err
		}
	}
	return Answer{}, errStranger
}

func failed(stage string, err error) Outcome {
	outcome := Outcome{Stage: stage, Text: err.Error()}
	if !errors.Is(err, errStranger) {
		outcome.Errno = lane.FromError(err).Name
	}
	return outcome
}
