package gateway

import (
	"net/netip"
	"testing"
	"time"
)

func TestWays(t *testing.T) {
	now := time.Unix(1000, 0)
	w := newWays(nil, []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")}, []netip.Addr{netip.MustParseAddr("10.96.0.10")})
	w.now = func() time.Time { return now }
	w.remember(netip.MustParseAddr("203.0.113.7"), 5*time.Second)
	check := func(to string, want way) {
		t.Helper()
		if got := w.of(netip.MustParseAddrPort(to)); got != want {
			t.Errorf("%s: got %d, want %d", to, got, want)
		}
	}
	check("10.96.0.10:53", byDNS)
	check("10.96.0.10:443", byPod)
	check("8.8.8.8:53", byPod)
	check("192.168.7.9:5432", byLaptop)
	check("192.168.8.9:5432", byPod)
	now = now.Add(grace)
	check("203.0.113.7:443", byLaptop) // and its time begins anew
	now = now.Add(grace - time.Second)
	check("203.0.113.7:443", byLaptop)
	now = now.Add(grace + time.Second)
	check("203.0.113.7:443", byPod)
}

func TestRememberedAddressesAreBounded(t *testing.T) {
	w := newWays(nil, nil, nil)
	first := netip.AddrFrom4([4]byte{20, 0, 0, 0})
	w.remember(first, 0)
	for i := range maxRemembered {
		w.remember(netip.AddrFrom4([4]byte{20, 1, byte(i >> 8), byte(i)}), time.Hour)
	}
	if len(w.remembered) != maxRemembered || w.of(netip.AddrPortFrom(first, 1)) != byPod {
		t.Errorf("%d addresses", len(w.remembered))
	}
}

func TestCaller(t *testing.T) {
	own, docker := netip.MustParseAddr("10.244.0.9"), netip.MustParsePrefix("172.28.0.0/16")
	for from, want := range map[string]string{
		"10.244.3.77:40001":        "10.244.3.77:40001",
		"[::ffff:10.244.3.77]:401": "10.244.3.77:401",
		"172.16.0.1:1":             "172.16.0.1:1",
		"10.244.0.9:40001":         "169.254.77.1:0", // itself, through its Service
		"172.28.0.5:40001":         "169.254.77.1:0",
		"127.0.0.1:40001":          "169.254.77.1:0",
		"0.0.0.0:40001":            "169.254.77.1:0",
		"224.0.0.1:40001":          "169.254.77.1:0",
		"255.255.255.255:40001":    "169.254.77.1:0",
		"[fd00::1]:40001":          "169.254.77.1:0",
	} {
		if got := caller(netip.MustParseAddrPort(from), own, docker).String(); got != want {
			t.Errorf("%s: got %s, want %s", from, got, want)
		}
	}
}
