package process

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// listening is TCP_LISTEN in the tables of sockets.
const listening = "0A"

// tables list the sockets of this network namespace, where there is such a thing.
var tables = []string{"/proc/net/tcp", "/proc/net/tcp6"}

// loopback are the addresses at which 127.0.0.1 or ::1 is heard, as the tables write them: that one, all of
// them, and the IPv4 one as IPv6.
var loopback = map[string]bool{
	"0100007F": true, "00000000": true,
	"00000000000000000000000001000000": true, "00000000000000000000000000000000": true,
	"0000000000000000FFFF00000100007F": true,
}

// listeners gives the ports on which somebody of this machine listens; false where the system does not tell.
//
// Source: https://docs.kernel.org/networking/proc_net_tcp.html
func listeners() (map[uint16]bool, bool) {
	found := map[uint16]bool{}
	known := false
	for _, table := range tables {
		file, err := os.Open(table)
		if err != nil {
			continue
		}
		known = true
		for lines := bufio.NewScanner(file); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 4 || fields[3] != listening {
				continue
			}
			address, text, _ := strings.Cut(fields[1], ":")
			if port, err := strconv.ParseUint(text, 16, 16); err == nil && loopback[address] {
				found[uint16(port)] = true
			}
		}
		_ = file.Close()
	}
	return found, known
}
