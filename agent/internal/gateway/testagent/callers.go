package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"devcluster/agent/internal/lane"
)

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
