package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"devcluster/agent/internal/lane"
)

// serveCluster starts the services that the "cluster" has, on loopback, and gives their ports.
func serveCluster() (map[string]int, error) {
	ports := map[string]int{}
	for name, serve := range map[string]func(*net.TCPConn){
		"echo": echo, "source": source, "sink": sink, "reset": reset, "accept": accept,
	} {
		port, err := listen("127.0.0.1:0", serve)
		if err != nil {
			return nil, err
		}
		ports[name] = port
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		buffer := make([]byte, 0xffff)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = packets.WriteTo(buffer[:n], from)
		}
	}()
	ports["udp"] = packets.LocalAddr().(*net.UDPAddr).Port
	return ports, nil
}

func listen(at string, serve func(*net.TCPConn)) (int, error) {
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return 0, err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn.(*net.TCPConn))
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// echo says who called and, after the caller's end, what it said: a half-closed connection must carry it.
func echo(conn *net.TCPConn) {
	text, err := io.ReadAll(conn)
	if err != nil {
		_ = conn.Close()
		return
	}
	_, _ = fmt.Fprintf(conn, "%s|%s", conn.RemoteAddr(), text)
	_ = conn.Close()
}

func source(conn *net.TCPConn) {
	_, _ = io.Copy(conn, zero{})
	_ = conn.Close()
}

func sink(conn *net.TCPConn) {
	n, _ := io.Copy(io.Discard, conn)
	_, _ = fmt.Fprint(conn, n)
	_ = conn.Close()
}

func accept(conn *net.TCPConn) { _ = conn.Close() }

func reset(conn *net.TCPConn) {
	_, _ = conn.Read(make([]byte, 1))
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// back gives the bytes back as they come, and tells on stdout how the connection ended.
func back(conn *net.TCPConn) {
	_, err := io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
	say(map[string]any{"caller": conn.RemoteAddr().String(), "end": nameOf(err)})
	_ = conn.Close()
}

func nameOf(err error) string {
	if err == nil {
		return ""
	}
	return lane.FromError(err).Name
}

// runApp: `serve ADDR` (echo, and back on the next port, and accept on the one after), or one of the clients
// `dial ADDR`, `half ADDR TEXT`, `reset ADDR`, `udp ADDR TEXT`, `down ADDR BYTES`, `up ADDR BYTES`,
// `stall ADDR COUNT`, `rate ADDR COUNT`.
func runApp(args []string) error {
	if len(args) < 2 {
		return errors.New("expected what to do and an address")
	}
	if args[0] == "serve" {
		return serveApp(args[1])
	}
	answer, err := client(args[0], args[1], args[2:])
	if err != nil {
		answer = map[string]any{"error": nameOf(err), "text": err.Error()}
	}
	say(answer)
	return nil
}

func serveApp(at string) error {
	host, text, err := net.SplitHostPort(at)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	for i, serve := range []func(*net.TCPConn){echo, back, accept} {
		if _, err := listen(net.JoinHostPort(host, strconv.Itoa(port+i)), serve); err != nil {
			return err
		}
	}
	say(map[string]any{"serving": at})
	select {}
}

func client(do, to string, rest []string) (map[string]any, error) {
	if do == "rate" {
		return rateClient(to, rest[0])
	}
	network := "tcp"
	if do == "udp" {
		network = "udp"
	}
	conn, err := net.DialTimeout(network, to, 20*time.Second)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	begin := time.Now()
	switch do {
	case "dial":
		return map[string]any{"from": conn.LocalAddr().String()}, nil
	case "half":
		return half(conn.(*net.TCPConn), rest[0])
	case "reset":
		_, _ = conn.Write([]byte("x"))
		_, err := conn.Read(make([]byte, 1))
		return map[string]any{}, err
	case "udp":
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = conn.Write([]byte(rest[0]))
		buffer := make([]byte, 0xffff)
		n, err := conn.Read(buffer)
		return map[string]any{"text": string(buffer[:n])}, err
	case "stall":
		return stall(to, rest[0])
	}
	size, err := strconv.ParseInt(rest[0], 10, 64)
	if err != nil {
		return nil, err
	}
	if do == "down" {
		n, err := io.CopyN(io.Discard, conn, size)
		return map[string]any{"mb_s": rateOf(n, begin)}, err
	}
	if _, err := io.CopyN(conn, zero{}, size); err != nil {
		return nil, err
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	_, err = io.ReadAll(conn)
	return map[string]any{"mb_s": rateOf(size, begin)}, err
}

func half(conn *net.TCPConn, text string) (map[string]any, error) {
	if _, err := conn.Write([]byte(text)); err != nil {
		return nil, err
	}
	if err := conn.CloseWrite(); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(conn)
	return map[string]any{"text": string(answer)}, err
}

// stall opens count connections that send to us for ever and reads none of them, then tells how long a fresh
// connection beside them takes for 1 MB.
func stall(to, count string) (map[string]any, error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	for range n {
		if _, err := net.DialTimeout("tcp", to, 20*time.Second); err != nil {
			return nil, err
		}
	}
	time.Sleep(2 * time.Second) // let their buffers fill: this is what is measured, not waited for
	begin := time.Now()
	conn, err := net.DialTimeout("tcp", to, 20*time.Second)
	if err != nil {
		return nil, err
	}
	_, err = io.CopyN(io.Discard, conn, 1<<20)
	return map[string]any{"ms": time.Since(begin).Milliseconds()}, err
}

func rateClient(to, count string) (map[string]any, error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	var refused, done atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range n / 8 {
				conn, err := net.DialTimeout("tcp", to, 20*time.Second)
				if err != nil {
					refused.Add(1)
					continue
				}
				done.Add(1)
				_ = conn.Close()
			}
		})
	}
	group.Wait()
	if failed := refused.Load(); failed > 0 {
		return nil, fmt.Errorf("%d of %d failed: %w", failed, n, syscall.EHOSTUNREACH)
	}
	return map[string]any{"per_second": float64(done.Load()) / time.Since(begin).Seconds()}, nil
}
