package gateway

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// files are those of the local pod that every container of it shares.
type files struct{ Hosts, Resolv string }

func (f files) write(settings Settings) error {
	if err := overwrite(f.Hosts, renderHosts(settings)); err != nil {
		return err
	}
	return overwrite(f.Resolv, renderResolvConf(settings.ResolvConf))
}

// overwrite writes in place: Docker mounts these files one by one, and another file of the same name would be
// seen by nobody else.
func overwrite(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write %s: %w: the gateway's container must not be read-only", path, err)
	}
	return nil
}

// renderHosts is the pod's own file, with a line for the pod's own name where it has none.
func renderHosts(settings Settings) string {
	text := withNewline(settings.Hosts)
	for line := range strings.Lines(text) {
		fields := strings.Fields(beforeComment(line))
		for _, name := range fields[min(1, len(fields)):] {
			if name == settings.Hostname {
				return text
			}
		}
	}
	if settings.Hostname == "" {
		return text
	}
	return text + settings.Address.String() + "\t" + settings.Hostname + "\n"
}

func beforeComment(line string) string {
	before, _, _ := strings.Cut(line, "#")
	return before
}

func withNewline(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		return text + "\n"
	}
	return text
}

// stand is the nameserver shown for one that the pod has on its own loopback (a resolver beside it): the local
// pod's loopback has none.
const stand = "169.254.77.53"

type resolvConf struct {
	servers []netip.Addr
	search  []string
}

func parseResolvConf(text string) resolvConf {
	var conf resolvConf
	for line := range strings.Lines(renderResolvConf(text)) {
		switch fields := strings.Fields(line); {
		case len(fields) < 2:
		case fields[0] == "nameserver":
			if address, err := netip.ParseAddr(fields[1]); err == nil {
				conf.servers = append(conf.servers, address)
			}
		case fields[0] == "search", fields[0] == "domain": // the last one counts, as in resolver(5)
			conf.search = fields[1:]
		}
	}
	return conf
}

// renderResolvConf is the pod's own file; a nameserver that can't be reached through the TUN is replaced.
func renderResolvConf(text string) string {
	var result strings.Builder
	found := false
	for line := range strings.Lines(withNewline(text)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "nameserver" {
			address, err := netip.ParseAddr(fields[1])
			if err == nil && (!address.Is4() || address.IsLoopback()) {
				line = "nameserver " + stand + "\n"
			}
			found = true
		}
		result.WriteString(line)
	}
	if !found { // resolver(5): then it is the own loopback
		result.WriteString("nameserver " + stand + "\n")
	}
	return result.String()
}
