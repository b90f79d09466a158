package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	upgradeRequest = "GET /.devcluster/connect HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
	patience       = 20 * time.Second
)

// AttackReport tells how far somebody came at an agent's port without the right to.
type AttackReport struct {
	// In is true where the other side went on after its proof: a lane stands.
	In bool `json:"in"`
	// Sent counts bytes that were taken, Opened and Answered connections.
	Sent     int64  `json:"sent"`
	Opened   int    `json:"opened"`
	Answered int    `json:"answered"`
	Error    string `json:"error,omitempty"`
}

// attack does one kind of harm to an agent's port, bounded, and prints what came of it.
func attack(ctx context.Context, kind string, words []string) error {
	flags := flag.NewFlagSet("attack "+kind, flag.ContinueOnError)
	address := flags.String("address", "", "host:port of the agent")
	number := flags.Int("n", 1, "connections")
	mib := flags.Int64("mib", 1, "header: MiB at most")
	duration := flags.Duration("for", 5*time.Second, "silent: how long")
	if err := flags.Parse(words); err != nil {
		return err
	}
	switch kind {
	case "lane":
		return show(enterLane(ctx, *address, os.Getenv("ATTACK_KEY")), nil)
	case "garbage":
		return show(garbage(ctx, *address, *number), nil)
	case "header":
		return show(longHeader(ctx, *address, *mib<<20), nil)
	case "silent":
		return show(silent(ctx, *address, *number, *duration), nil)
	default:
		return fmt.Errorf("unknown attack %q", kind)
	}
}

func open(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(patience))
	}
	return conn, err
}

// enterLane asks for a lane with the key of keyPEM, or without a certificate. The protocol's certificates are
// made by whoever holds a key; the first byte of a lane comes from the agent once it took the key.
func enterLane(ctx context.Context, address, keyPEM string) AttackReport {
	conn, err := open(ctx, address)
	if err != nil {
		return AttackReport{Error: err.Error()}
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, upgradeRequest, "devcluster-lane"); err != nil {
		return AttackReport{Error: err.Error()}
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		return AttackReport{Error: fmt.Sprint("no upgrade: ", err)}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"devcluster/1"}, InsecureSkipVerify: true}
	if keyPEM != "" {
		certificate, err := certificateOf(keyPEM)
		if err != nil {
			return AttackReport{Error: err.Error()}
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return AttackReport{Answered: 1, Error: err.Error()}
	}
	// The server's verdict on our certificate comes with the first read.
	if _, err := io.ReadFull(secure, make([]byte, 1)); err != nil {
		return AttackReport{Answered: 1, Error: err.Error()}
	}
	return AttackReport{Answered: 1, In: true}
}

func certificateOf(keyPEM string) (tls.Certificate, error) {
	var key ed25519.PrivateKey
	if keyPEM == "new" {
		_, made, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return tls.Certificate{}, err
		}
		key = made
	} else {
		block, _ := pem.Decode([]byte(keyPEM))
		if block == nil {
			return tls.Certificate{}, errors.New("not PEM")
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return tls.Certificate{}, errors.New("not a PKCS#8 key")
		}
		key = parsed.(ed25519.PrivateKey)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "devcluster"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// garbage sends 64 KiB of noise on each of number connections.
func garbage(ctx context.Context, address string, number int) AttackReport {
	var report AttackReport
	noise := make([]byte, 64<<10)
	for range number {
		_, _ = rand.Read(noise)
		conn, err := open(ctx, address)
		if err != nil {
			report.Error = err.Error()
			continue
		}
		report.Opened++
		sent, _ := conn.Write(noise)
		report.Sent += int64(sent)
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			report.Answered++
		}
		_ = conn.Close()
	}
	return report
}

// longHeader writes one header that does not end, until it is stopped.
func longHeader(ctx context.Context, address string, most int64) AttackReport {
	conn, err := open(ctx, address)
	if err != nil {
		return AttackReport{Error: err.Error()}
	}
	defer conn.Close()
	report := AttackReport{Opened: 1}
	block := make([]byte, 256<<10)
	for i := range block {
		block[i] = 'a'
	}
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nX: ")
	for err == nil && report.Sent < most {
		var sent int
		sent, err = conn.Write(block)
		report.Sent += int64(sent)
	}
	if err != nil {
		report.Error = err.Error()
	}
	return report
}

// silent opens number connections and says nothing on them, or begins a request, or asks for an upgrade and
// proves nothing; where some are closed it opens others, at most 200 a second.
func silent(ctx context.Context, address string, number int, duration time.Duration) AttackReport {
	var report AttackReport
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	slots := make(chan struct{}, number)
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	openings := []string{"", "GET /.devcluster/", fmt.Sprintf(upgradeRequest, "ssh"), fmt.Sprintf(upgradeRequest, "devcluster-lane")}
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		if report.Opened >= number {
			select {
			case <-pace.C:
			case <-ctx.Done():
			}
		}
		conn, err := open(ctx, address)
		if err != nil {
			if ctx.Err() == nil {
				report.Error = err.Error()
			}
			<-slots
			continue
		}
		opening := openings[report.Opened%len(openings)]
		report.Opened++
		go func() {
			defer func() { _ = conn.Close(); <-slots }()
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			_, _ = io.WriteString(conn, opening)
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
	return report
}
