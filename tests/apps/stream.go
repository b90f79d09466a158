package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"syscall"
	"time"
)

// StreamReport is what became of some connections at the same time.
type StreamReport struct {
	Connections int            `json:"connections"`
	OK          int            `json:"ok"`
	Bytes       int64          `json:"bytes"`
	Seconds     float64        `json:"seconds"`
	Errors      map[string]int `json:"errors"`
}

// together runs work on -parallel connections and counts.
func together(ctx context.Context, s settings, work func(*net.TCPConn) (int64, error)) StreamReport {
	report := StreamReport{Connections: s.parallel, Errors: map[string]int{}}
	began := time.Now()
	var lock sync.Mutex
	var group sync.WaitGroup
	for range s.parallel {
		group.Go(func() {
			size, err := withConn(ctx, s.address, work)
			lock.Lock()
			defer lock.Unlock()
			report.Bytes += size
			if err != nil {
				report.Errors[plain(err).Error()]++
			} else {
				report.OK++
			}
		})
	}
	group.Wait()
	report.Seconds = time.Since(began).Seconds()
	return report
}

// withConn dials, gives the connection ctx's deadline and closes it at the end.
func withConn[T any](ctx context.Context, address string, work func(*net.TCPConn) (T, error)) (T, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		var none T
		return none, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	return work(conn.(*net.TCPConn))
}

// loadEcho sends -mib MiB on each connection, ends its side and compares every byte that comes back.
func loadEcho(ctx context.Context, s settings) error {
	return show(together(ctx, s, func(conn *net.TCPConn) (int64, error) {
		return echoed(conn, int64(s.mib)<<20)
	}), nil)
}

func echoed(conn *net.TCPConn, size int64) (int64, error) {
	block := make([]byte, 1<<20)
	if _, err := rand.Read(block); err != nil {
		return 0, err
	}
	sent := make(chan error, 1)
	go func() {
		if _, err := io.Copy(conn, io.LimitReader(&pattern{block: block}, size)); err != nil {
			sent <- err
			return
		}
		sent <- conn.CloseWrite()
	}()
	got, err := compare(conn, &pattern{block: block}, size)
	if err != nil {
		return got, err
	}
	return got, <-sent
}

// pattern repeats a block, turned by one byte each time, so that a lost or doubled block is noticed.
type pattern struct {
	block []byte
	at    int64
}

func (p *pattern) Read(buffer []byte) (int, error) {
	size := int64(len(p.block))
	start := (p.at%size + p.at/size) % size
	n := copy(buffer, p.block[start:])
	n = min(n, int(size-p.at%size))
	p.at += int64(n)
	return n, nil
}

// compare reads until the end; all of size bytes must come, and nothing after them.
func compare(conn io.Reader, wanted io.Reader, size int64) (int64, error) {
	have, want := make([]byte, 64<<10), make([]byte, 64<<10)
	var total int64
	for {
		n, err := conn.Read(have)
		if total+int64(n) > size {
			return total, errors.New("more came back than was sent")
		}
		if _, wantErr := io.ReadFull(wanted, want[:n]); wantErr != nil {
			return total, wantErr
		}
		if !bytes.Equal(have[:n], want[:n]) {
			return total, errors.New("other bytes came back")
		}
		total += int64(n)
		switch {
		case err == io.EOF && total == size:
			return total, nil
		case err == io.EOF:
			return total, errors.New("the end came too early")
		case err != nil:
			return total, err
		}
	}
}

// halfClose ends its side first, and must still get the whole answer and then the end.
func halfClose(ctx context.Context, address string) error {
	question := []byte(rand.Text())
	_, err := withConn(ctx, address, func(conn *net.TCPConn) (int, error) {
		if _, err := conn.Write(question); err != nil {
			return 0, err
		}
		if err := conn.CloseWrite(); err != nil {
			return 0, err
		}
		got, err := io.ReadAll(conn)
		if err == nil && !bytes.Equal(got, question) {
			err = fmt.Errorf("%d of %d bytes after our end", len(got), len(question))
		}
		return len(got), err
	})
	return err
}

// expectReset sends a byte to a server of the reset mode; only a reset is right, an end is not.
func expectReset(ctx context.Context, address string) error {
	_, err := withConn(ctx, address, func(conn *net.TCPConn) (int, error) {
		if _, err := conn.Write([]byte("x")); err != nil {
			return 0, err
		}
		return conn.Read(make([]byte, 1))
	})
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return fmt.Errorf("no reset: %w", errors.Join(err, errors.New("the connection ended otherwise")))
}

// hold opens connections and reads nothing for a while (against a source), then resets them.
func hold(ctx context.Context, s settings) error {
	return show(together(ctx, s, func(conn *net.TCPConn) (int64, error) {
		if err := conn.SetLinger(0); err != nil {
			return 0, err
		}
		return 0, pause(ctx, s.duration)
	}), nil)
}

// idle speaks with an echo, says nothing for a while, and speaks again.
func idle(ctx context.Context, s settings) error {
	_, err := withConn(ctx, s.address, func(conn *net.TCPConn) (int, error) {
		if err := speak(conn); err != nil {
			return 0, err
		}
		if err := pause(ctx, s.duration); err != nil {
			return 0, err
		}
		return 0, speak(conn)
	})
	return err
}

func speak(conn *net.TCPConn) error {
	number, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return err
	}
	word := []byte(number.String())
	if _, err := conn.Write(word); err != nil {
		return err
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if !bytes.Equal(got, word) {
		return errors.New("other bytes came back")
	}
	return nil
}

func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
