package gateway

import (
	"strings"
	"testing"
)

const good = `{"token":"t0ken","listen":7900,"key":"KEY","agent":"ssh-ed25519 x","epoch":3,"address":"10.244.0.9",
"resolv_conf":"","hosts":"","hostname":"w","local_networks":["192.168.7.0/24","10.1.1.1"],
"docker_network":"172.28.0.0/16","docker_gateway":"172.28.0.1"}`

func one(text string) string { return strings.ReplaceAll(text, "\n", "") + "\n" }

func TestReadSettings(t *testing.T) {
	settings, err := ReadSettings(strings.NewReader(one(good) + "not read"))
	if err != nil {
		t.Fatal(err)
	}
	if settings.Listen != 7900 || len(settings.LocalNetworks) != 2 || settings.LocalNetworks[1].String() != "10.1.1.1/32" {
		t.Errorf("%+v", settings.LocalNetworks)
	}
}

func TestBadSettingsAreNamedNotShown(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{`"10.244.0.9"`, `"fd00::1"`, "address"},
		{`"10.244.0.9"`, `"172.28.0.9"`, "create it in another range"},
		{`"t0ken"`, `""`, "token"},
		{`7900`, `"7900"`, "listen"},
		{`"172.28.0.1"`, `"172.29.0.1"`, "docker_gateway"},
		{`"10.1.1.1"`, `"10.1.1"`, "local_networks"},
		{`"epoch":3`, `"epoch":`, "not JSON"},
	} {
		_, err := ReadSettings(strings.NewReader(one(strings.Replace(good, test.old, test.new, 1))))
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "t0ken") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", test.new, err)
		}
	}
	if _, err := ReadSettings(strings.NewReader("")); err == nil {
		t.Error("nothing on stdin is an error")
	}
}

func TestHosts(t *testing.T) {
	settings, err := ReadSettings(strings.NewReader(one(good)))
	if err != nil {
		t.Fatal(err)
	}
	for hosts, want := range map[string]string{
		"":                         "10.244.0.9\tw\n",
		"127.0.0.1 localhost":      "127.0.0.1 localhost\n10.244.0.9\tw\n",
		"10.244.0.9\tw\n":          "10.244.0.9\tw\n",
		"10.0.0.1 x # w\n":         "10.0.0.1 x # w\n10.244.0.9\tw\n",
		"10.244.0.9 w.svc w # y\n": "10.244.0.9 w.svc w # y\n",
	} {
		settings.Hosts = hosts
		if got := renderHosts(settings); got != want {
			t.Errorf("%q: got %q, want %q", hosts, got, want)
		}
	}
}

func TestResolvConf(t *testing.T) {
	text := "search a.local b.local\nnameserver 10.96.0.10\nnameserver 127.0.0.53\nnameserver fd00::a\noptions ndots:5"
	want := "search a.local b.local\nnameserver 10.96.0.10\nnameserver 169.254.77.53\nnameserver 169.254.77.53\noptions ndots:5\n"
	if got := renderResolvConf(text); got != want {
		t.Errorf("got %q", got)
	}
	if conf := parseResolvConf(text); len(conf.servers) != 3 || len(conf.search) != 2 {
		t.Errorf("%+v", conf)
	}
	if conf := parseResolvConf(""); len(conf.servers) != 1 || conf.servers[0].String() != stand {
		t.Errorf("%+v", conf)
	}
}
