//go:build !linux

package sockets

import "errors"

// ask is what only Linux can.
func ask(map[string]place) error { return errors.ErrUnsupported }
