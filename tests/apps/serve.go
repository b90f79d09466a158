package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var handlers = map[string]func(context.Context, *net.TCPConn) error{
	"echo":   echo,
	"sink":   sink,
	"source": source,
	"reset":  reset,
	"gate":   gate,
}

var pages = map[string]http.HandlerFunc{"http": answer, "ask": ask}

// serve listens for each MODE=ADDRESS until ctx ends or a listener fails.
func serve(ctx context.Context, pairs []string) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := fill(os.Getenv("BALLAST_MIB")); err != nil {
		return err
	}
	for _, pair := range pairs {
		mode, address, _ := strings.Cut(pair, "=")
		if mode == "datagrams" {
			packets, err := net.ListenPacket("udp", address)
			if err != nil {
				return err
			}
			defer packets.Close()
			go func() { stop(repeat(packets)) }()
			continue
		}
		if pages[mode] == nil && handlers[mode] == nil {
			return fmt.Errorf("unknown mode %q", mode)
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		defer listener.Close()
		fmt.Printf("%s listening %s\n", mode, listener.Addr())
		go func() { stop(serveOne(running, mode, listener)) }()
	}
	<-running.Done()
	if ctx.Err() != nil { // asked to end
		return lastWords()
	}
	return context.Cause(running)
}

var ballast []byte

// fill holds so many MiB of memory for as long as the process lives, so that a limit leaves little room.
func fill(mib string) error {
	if mib == "" {
		return nil
	}
	count, err := strconv.Atoi(mib)
	if err != nil {
		return fmt.Errorf("BALLAST_MIB: %w", err)
	}
	ballast = make([]byte, count<<20)
	for page := 0; page < len(ballast); page += os.Getpagesize() {
		ballast[page] = 1
	}
	return nil
}

// repeat sends each datagram back to its sender.
func repeat(packets net.PacketConn) error {
	buffer := make([]byte, 64<<10)
	for {
		n, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if _, err := packets.WriteTo(buffer[:n], from); err != nil {
			return err
		}
	}
}

func serveOne(ctx context.Context, mode string, listener net.Listener) error {
	if page := pages[mode]; page != nil {
		server := &http.Server{Handler: page, ReadHeaderTimeout: 30 * time.Second}
		return server.Serve(listener)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			fmt.Printf("%s opened %s\n", mode, conn.RemoteAddr())
			err := handlers[mode](ctx, conn.(*net.TCPConn))
			fmt.Printf("%s %s %s\n", mode, ending(err), conn.RemoteAddr())
		}()
	}
}

func ending(err error) string {
	switch {
	case err == nil:
		return "closed"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	default:
		return "failed"
	}
}

// Answer is what the http mode says about itself and the request.
type Answer struct {
	ID       string `json:"id"`
	Identity string `json:"identity"`
	Hostname string `json:"hostname"`
	PID      int    `json:"pid"`
	Remote   string `json:"remote"`
	Host     string `json:"host"`
	Path     string `json:"path"`
	Bytes    int64  `json:"bytes"`
}

// answer reads the whole body, writes a line of access log and tells who answered; after ?seconds=N of silence.
func answer(w http.ResponseWriter, r *http.Request) {
	if seconds, err := strconv.Atoi(r.URL.Query().Get("seconds")); err == nil {
		fmt.Printf("%s is slow\n", r.RequestURI)
		time.Sleep(time.Duration(seconds) * time.Second)
	}
	id := r.Header.Get("X-Request-Id")
	size, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hostname, _ := os.Hostname()
	fmt.Printf("%s %s %q %d\n", r.RemoteAddr, id, r.Method+" "+r.RequestURI, http.StatusOK)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", id)
	_ = json.NewEncoder(w).Encode(Answer{
		ID: id, Identity: os.Getenv("IDENTITY"), Hostname: hostname, PID: os.Getpid(),
		Remote: r.RemoteAddr, Host: r.Host, Path: r.RequestURI, Bytes: size,
	})
}

// echo gives back what comes until the other side has ended, then ends itself.
func echo(_ context.Context, conn *net.TCPConn) error {
	if _, err := io.Copy(conn, conn); err != nil {
		return err
	}
	return conn.CloseWrite()
}

// gate is a proxy that stands before what listens at $BEHIND.
func gate(ctx context.Context, conn *net.TCPConn) error {
	behind, err := new(net.Dialer).DialContext(ctx, "tcp", os.Getenv("BEHIND"))
	if err != nil {
		return errors.Join(err, conn.SetLinger(0))
	}
	defer behind.Close()
	go func() {
		_, _ = io.Copy(behind, conn)
		_ = behind.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(conn, behind)
	return err
}

// sink never reads.
func sink(ctx context.Context, _ *net.TCPConn) error {
	<-ctx.Done()
	return nil
}

// source writes for as long as somebody takes it.
func source(_ context.Context, conn *net.TCPConn) error {
	block := make([]byte, 64<<10)
	for {
		if _, err := conn.Write(block); err != nil {
			return err
		}
	}
}

// reset waits for the first byte and resets the connection.
func reset(_ context.Context, conn *net.TCPConn) error {
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return err
	}
	return conn.SetLinger(0)
}
