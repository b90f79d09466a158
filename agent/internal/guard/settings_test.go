package guard

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"devcluster/agent/internal/front"
)

// load reads a folder in which agent.json is text.
func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{"agent.json": text, "agent.key": "key", "laptop.pub": "pub"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(folder)
}

func TestAPortIsANumberAndAProtocol(t *testing.T) {
	config, err := load(t, `{"protocol": 1, "ports": [
		{"port": 53, "protocol": "TCP", "front": 47100, "name": "dns-tcp"},
		{"port": 53, "protocol": "UDP", "front": 47101, "name": "dns"},
		{"port": 8080}]}`)
	if err != nil {
		t.Fatal(err)
	}
	wanted := []front.Port{{Port: 53, Protocol: "TCP", Front: 47100}, {Port: 8080}}
	if !slices.Equal(config.Settings.Ports, wanted) {
		t.Errorf("%+v", config.Settings.Ports)
	}
}

func TestAnotherProtocolOfTheSettingsIsRefused(t *testing.T) {
	if _, err := load(t, `{"protocol": 2}`); err == nil {
		t.Error("was taken")
	}
}
