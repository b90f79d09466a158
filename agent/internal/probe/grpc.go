package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// checkGRPC asks grpc.health.v1.Health/Check over unencrypted HTTP/2. The two
// messages have one field each, so no generated code is needed.
//
// Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
func checkGRPC(ctx context.Context, address string, port Port, service string) error {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	target := "http://" + join(address, port) + "/grpc.health.v1.Health/Check"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(healthRequest(service)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("Te", "trailers")
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return err
	}
	if status := orElse(response.Trailer.Get("Grpc-Status"), response.Header.Get("Grpc-Status")); status != "0" {
		return fmt.Errorf("gRPC status %q", status)
	}
	return parseHealth(body)
}

// healthRequest is one gRPC message: HealthCheckRequest{service = 1}.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = append(message, 0x0a)
		message = binary.AppendUvarint(message, uint64(len(service)))
		message = append(message, service...)
	}
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(framed, message...)
}

// parseHealth reads HealthCheckResponse{status = 1}; 1 is SERVING.
func parseHealth(body []byte) error {
	if len(body) < 5 || len(body)-5 != int(binary.BigEndian.Uint32(body[1:5])) {
		return errors.New("the health service did not answer with one message")
	}
	message := body[5:]
	if len(message) >= 2 && message[0] == 0x08 && message[1] == 1 {
		return nil
	}
	return errors.New("the health service does not say SERVING")
}
