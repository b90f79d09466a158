package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestAnAttemptThatCouldNotBeMadeDoesNotCount(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	attempts, told := 0, ""
	spec, err := Parse([]byte(`{"exec":{"command":["x"]},"periodSeconds":1,"failureThreshold":1}`))
	if err != nil {
		t.Fatal(err)
	}
	Watch(ctx, "", spec, time.Now(), func(context.Context, []string) error {
		if attempts++; attempts < 3 {
			return fmt.Errorf("%w: no such command", ErrNotMade)
		}
		return nil
	}, func(well bool, _ error) {
		told += fmt.Sprintf("%v after %d;", well, attempts)
		cancel()
	})
	if told != "true after 3;" {
		t.Error(told)
	}
}

func TestTheDelayCountsFromTheStart(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	spec, err := Parse([]byte(`{"exec":{"command":["x"]},"initialDelaySeconds":300}`))
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	Watch(ctx, "", spec, time.Now().Add(-300*time.Second), func(context.Context, []string) error {
		asked = true
		return nil
	}, func(bool, error) { cancel() })
	if !asked {
		t.Error("the time that the application has run does not count")
	}
}

func TestAHookWantsAnAnswerAndAProbeAGoodOne(t *testing.T) {
	web := portOf(t, httptest.NewServer(http.NotFoundHandler()))
	spec, err := Parse(fmt.Appendf(nil, `{"httpGet":{"port":%d}}`, web))
	if err != nil {
		t.Fatal(err)
	}
	var status StatusError
	if err := Act(context.Background(), "127.0.0.1", spec.Action, nil); !errors.As(err, &status) || status != 404 {
		t.Errorf("probe: %v", err)
	}
	if err := Hook(context.Background(), "127.0.0.1", spec.Action, nil); err != nil {
		t.Errorf("hook: %v", err)
	}
}

func TestRedirectsWithoutEndFail(t *testing.T) {
	web := portOf(t, httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Error("kubelet asks for no compression")
		}
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	})))
	spec, err := Parse(fmt.Appendf(nil, `{"httpGet":{"port":%d}}`, web))
	if err != nil {
		t.Fatal(err)
	}
	if Run(context.Background(), "127.0.0.1", spec, nil) == nil {
		t.Error("taken for well")
	}
}
