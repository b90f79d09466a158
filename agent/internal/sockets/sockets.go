// Package sockets tells who listens in the pod: on TCP ports of this network
// namespace, and whose they are.
//
// The problem: applications listen on ports that nobody declared, on loopback
// only, or not at all on what they declared; and the pod's other containers
// listen in the same namespace. Trying to connect tells less, and the
// application would see a caller.
//
// Rules:
//   - a socket is its inode: /proc/net/tcp has the address of each that listens,
//     and /proc/PID/fd whose it is;
//   - processes are looked through only for a socket not seen before: there may be
//     thousands of connections;
//   - a socket that no process here has is another container's. One of a process
//     that may not be looked into can't be told from those.
//
// Source: proc_net(5), proc_pid_fd(5).
package sockets

import (
	"bufio"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Owner is whose a socket is.
type Owner int

// Owners.
const (
	Neighbour Owner = iota // another container of the pod
	Child                  // the application
	Agent                  // this process
	Unsure                 // a neighbour, or one of the application's processes that may not be looked into
)

// Table remembers whose the sockets are that it has seen. It is safe for
// concurrent use.
type Table struct {
	mu    sync.Mutex
	known map[string]Owner // by inode
}

// New knows no socket yet.
func New() *Table { return &Table{known: map[string]Owner{}} }

// Found is who listens where, each list sorted, without duplicates.
type Found struct{ Child, Neighbours, Unsure []netip.AddrPort }

// Look tells who listens now. family gives the application's processes.
func (t *Table) Look(family func() []int) (Found, error) {
	listening, err := read()
	if err != nil {
		return Found{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attribute(listening, family)
	found := map[Owner][]netip.AddrPort{}
	for inode, address := range listening {
		found[t.known[inode]] = append(found[t.known[inode]], address)
	}
	return Found{sorted(found[Child]), sorted(found[Neighbour]), sorted(found[Unsure])}, nil
}

// attribute finds out whose the new ones are, and forgets those that are gone.
func (t *Table) attribute(listening map[string]netip.AddrPort, family func() []int) {
	maps.DeleteFunc(t.known, func(inode string, _ Owner) bool { return !listening[inode].IsValid() })
	fresh := map[string]Owner{}
	for inode := range listening {
		if _, seen := t.known[inode]; !seen {
			fresh[inode] = Neighbour
		}
	}
	if len(fresh) == 0 {
		return
	}
	hidden := false
	for _, pid := range family() {
		hidden = errors.Is(claim(fresh, pid, Child), fs.ErrPermission) || hidden
	}
	_ = claim(fresh, os.Getpid(), Agent)
	for inode, owner := range fresh {
		if owner == Neighbour && hidden {
			owner = Unsure
		}
		t.known[inode] = owner
	}
}

// claim gives a process' sockets to an owner.
func claim(sockets map[string]Owner, pid int, owner Owner) error {
	folder := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		target, err := os.Readlink(folder + "/" + entry.Name())
		if err != nil {
			continue
		}
		inode, isSocket := strings.CutPrefix(target, "socket:[")
		inode = strings.TrimSuffix(inode, "]")
		if _, wanted := sockets[inode]; isSocket && wanted {
			sockets[inode] = owner
		}
	}
	return err
}

func sorted(addresses []netip.AddrPort) []netip.AddrPort {
	slices.SortFunc(addresses, func(a, b netip.AddrPort) int {
		if a.Port() != b.Port() {
			return int(a.Port()) - int(b.Port())
		}
		return a.Addr().Compare(b.Addr())
	})
	return slices.Compact(addresses)
}

// read gives the address of each socket that listens, by inode.
func read() (map[string]netip.AddrPort, error) {
	found := map[string]netip.AddrPort{}
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		err := readTable(path, found)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			return nil, err
		}
	}
	return found, nil
}

const stateListen = "0A"

func readTable(path string, found map[string]netip.AddrPort) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != stateListen {
			continue
		}
		if address, ok := parse(fields[1]); ok {
			found[fields[9]] = address
		}
	}
	return lines.Err()
}

// parse reads 0100007F:1F90, words of 32 bits as a little-endian machine has them.
func parse(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	address, ok := netip.AddrFromSlice(raw)
	number, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), ok && err == nil
}
