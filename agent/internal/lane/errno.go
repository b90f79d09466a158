package lane

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/libp2p/go-yamux/v5"
)

// ErrnoError is a refusal that the other side names by errno(3).
type ErrnoError struct {
	// Name is ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EACCES,
	// EAGAIN (no holder), ESTALE (an older epoch) …
	Name string
	// Text is for people.
	Text string
	// Again: it may be otherwise in a moment, and whoever waits loses nothing.
	Again bool
}

func (e *ErrnoError) Error() string {
	if e.Text == "" {
		return e.Name
	}
	return e.Name + ": " + e.Text
}

// Unwrap gives the errno, so that errors.Is(err, syscall.ECONNREFUSED) holds.
func (e *ErrnoError) Unwrap() error {
	for _, known := range errnos {
		if known.name == e.Name {
			return known.errno
		}
	}
	return nil
}

// errnos are those that may cross the wire: what connect(2) says, and our two.
var errnos = []struct {
	name  string
	errno syscall.Errno
}{
	{"ECONNREFUSED", syscall.ECONNREFUSED},
	{"ETIMEDOUT", syscall.ETIMEDOUT},
	{"EHOSTUNREACH", syscall.EHOSTUNREACH},
	{"ENETUNREACH", syscall.ENETUNREACH},
	{"EACCES", syscall.EACCES},
	{"EAGAIN", syscall.EAGAIN},
	{"ESTALE", syscall.ESTALE},
	{"ECONNRESET", syscall.ECONNRESET},
	{"EADDRNOTAVAIL", syscall.EADDRNOTAVAIL},
	{"EAFNOSUPPORT", syscall.EAFNOSUPPORT},
	{"EMFILE", syscall.EMFILE},
	{"EINVAL", syscall.EINVAL},
}

// FromError names an error of a dial as the caller's connect(2) would have.
// It is nil for nil.
func FromError(err error) *ErrnoError {
	if err == nil {
		return nil
	}
	var named *ErrnoError
	if errors.As(err, &named) {
		return named
	}
	for _, known := range errnos {
		if errors.Is(err, known.errno) {
			return &ErrnoError{Name: known.name, Text: err.Error()}
		}
	}
	return &ErrnoError{Name: unnamed(err), Text: err.Error()}
}

// unnamed chooses for errors that no system call made.
func unnamed(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.EPERM): // a firewall's answer
		return "EACCES"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return "ETIMEDOUT"
	case errors.Is(err, yamux.ErrStreamReset):
		return "ECONNRESET"
	case isAddressError(err):
		return "EINVAL"
	default:
		return "EHOSTUNREACH"
	}
}

func isAddressError(err error) bool {
	var address *net.AddrError
	var parse *net.ParseError
	return errors.As(err, &address) || errors.As(err, &parse)
}
