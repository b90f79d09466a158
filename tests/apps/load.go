package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// HTTPReport counts who answered; a request that failed is counted by its error's text.
type HTTPReport struct {
	Sent     int            `json:"sent"`
	OK       int            `json:"ok"`
	Identity map[string]int `json:"identity"`
	Status   map[int]int    `json:"status"`
	Errors   map[string]int `json:"errors"`
	Failed   []Failure      `json:"failed"`
	IDs      []string       `json:"ids"`
	P50ms    float64        `json:"p50_ms"`
	P99ms    float64        `json:"p99_ms"`
	Longest  float64        `json:"longest_ms"`
	Began    float64        `json:"began"` // seconds since 1970
	Seconds  float64        `json:"seconds"`

	began time.Time
	lock  sync.Mutex
	times []time.Duration
}

// Failure is one request that failed: when it began, counted from the first one, and how long it took.
type Failure struct {
	At    float64 `json:"at"`
	Took  float64 `json:"took"`
	Error string  `json:"error"`
}

const mostFailures = 20 // that are told one by one

// loadHTTP begins -n requests at -rate, each with an id and a connection of its own. Told to stop, it begins no
// more of them and waits for the answers to those under way.
func loadHTTP(ctx context.Context, s settings) error {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	report := &HTTPReport{Identity: map[string]int{}, Status: map[int]int{}, Errors: map[string]int{}, Failed: []Failure{}}
	report.began = time.Now()
	pace := time.NewTicker(time.Second / time.Duration(max(s.rate, 1)))
	defer pace.Stop()
	var group sync.WaitGroup
	for report.Sent < s.number && ctx.Err() == nil {
		id := rand.Text()
		report.Sent++
		report.IDs = append(report.IDs, id)
		group.Go(func() {
			one, cancel := context.WithTimeout(asking, s.each)
			defer cancel()
			report.ask(one, s.url, id)
		})
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
	group.Wait()
	report.Began = float64(report.began.UnixMicro()) / 1e6
	report.Seconds = time.Since(report.began).Seconds()
	report.P50ms, report.P99ms = report.quantile(0.50), report.quantile(0.99)
	report.Longest = report.quantile(1)
	return show(report, nil)
}

func (r *HTTPReport) ask(ctx context.Context, url, id string) {
	began := time.Now()
	status, identity, err := askOnce(ctx, url, id)
	r.lock.Lock()
	defer r.lock.Unlock()
	if err != nil {
		r.Errors[err.Error()]++
		if len(r.Failed) < mostFailures {
			r.Failed = append(r.Failed, Failure{began.Sub(r.began).Seconds(), time.Since(began).Seconds(), err.Error()})
		}
		return
	}
	r.times = append(r.times, time.Since(began))
	r.Status[status]++
	r.Identity[identity]++
	if status == http.StatusOK {
		r.OK++
	}
}

// askOnce: identity is "" where the answer is not of the http mode (any other server may be asked).
func askOnce(ctx context.Context, url, id string) (status int, identity string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("X-Request-Id", id)
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // self-signed, and only who answers matters
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", plain(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", plain(err)
	}
	var found Answer
	if json.Unmarshal(body, &found) != nil {
		return response.StatusCode, "", nil
	}
	if found.ID != id {
		return 0, "", fmt.Errorf("the answer to another request")
	}
	return response.StatusCode, found.Identity, nil
}

// plain takes the ports out of an error, so that equal ones are counted together.
func plain(err error) error {
	var inner interface{ Timeout() bool }
	if errors.As(err, &inner) && inner.Timeout() {
		return errors.New("timeout")
	}
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}

func (r *HTTPReport) quantile(share float64) float64 {
	if len(r.times) == 0 {
		return 0
	}
	slices.Sort(r.times)
	return float64(r.times[int(share*float64(len(r.times)-1))].Microseconds()) / 1000
}
