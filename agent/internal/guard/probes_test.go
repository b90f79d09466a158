package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"devcluster/agent/internal/probe"
)

func TestAProbeThatTakesTooLongEndsWithAllItStarted(t *testing.T) {
	w := newWorld(t, nil)
	note := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	script := fmt.Sprintf("sleep 300 & echo $! > %s; wait", note)
	if err := w.execute(ctx, []string{"sh", "-c", script}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("what the probe started lives on")
		}
	}
}

func TestALivenessProbeWhoseCommandIsMissingEndsNobody(t *testing.T) {
	asked := make(chan struct{}, 64)
	missing, err := probe.Parse([]byte(`{"exec":{"command":["/no/such"]},"periodSeconds":1,"failureThreshold":1}`))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go func() {
		for range 2 {
			<-asked
		}
		cancel()
	}()
	probe.Watch(ctx, "", missing, time.Now(), func(ctx context.Context, argv []string) error {
		asked <- struct{}{}
		return w.execute(ctx, argv)
	}, func(bool, error) { t.Error("a verdict") })
}

func TestAProbesOwnGracePeriod(t *testing.T) {
	liveness, err := probe.Parse([]byte(`{"exec":{"command":["false"]},"periodSeconds":1,"failureThreshold":1,"terminationGracePeriodSeconds":1}`))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w := newWorld(t, func(c *Config) {
		c.Command, c.Liveness = []string{"sh", "-c", "trap '' TERM; while :; do sleep 1; done"}, &liveness
	})
	if code := <-w.codes; code != 128+9 || time.Since(began) > 20*time.Second {
		t.Errorf("ended with %d after %s", code, time.Since(began))
	}
}
