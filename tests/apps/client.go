package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"
)

type settings struct {
	url, address           string
	number, rate, parallel int
	mib                    int
	duration, timeout      time.Duration
	each                   time.Duration
}

// client runs one kind of load, bounded by -timeout, and prints its report.
func client(ctx context.Context, kind string, words []string) error {
	var s settings
	flags := flag.NewFlagSet("client "+kind, flag.ContinueOnError)
	flags.StringVar(&s.url, "url", "", "http: what is asked for")
	flags.StringVar(&s.address, "address", "", "host:port, for everything but http")
	flags.IntVar(&s.number, "n", 1, "http: requests, each on a fresh connection")
	flags.IntVar(&s.rate, "rate", 50, "http: requests begun in a second")
	flags.IntVar(&s.parallel, "parallel", 1, "connections at the same time")
	flags.IntVar(&s.mib, "mib", 1, "echo: MiB for each connection")
	flags.DurationVar(&s.duration, "for", time.Second, "hold, idle: how long")
	flags.DurationVar(&s.each, "each", time.Minute+10*time.Second, "http: for one request")
	flags.DurationVar(&s.timeout, "timeout", time.Minute, "for the whole")
	if err := flags.Parse(words); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	switch kind {
	case "http":
		return loadHTTP(ctx, s)
	case "get":
		return show(get(ctx, s.url))
	case "echo":
		return loadEcho(ctx, s)
	case "halfclose":
		return show(outcome(halfClose(ctx, s.address)))
	case "reset":
		return show(outcome(expectReset(ctx, s.address)))
	case "hold":
		return hold(ctx, s)
	case "idle":
		return show(outcome(idle(ctx, s)))
	default:
		return fmt.Errorf("unknown client %q", kind)
	}
}

// Page is what a server answered.
type Page struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

// get asks once, on a fresh connection.
func get(ctx context.Context, url string) (Page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Page{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Page{Body: err.Error()}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return Page{response.StatusCode, string(body)}, err
}

// Outcome is the report of a check that holds or does not.
type Outcome struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func outcome(err error) (Outcome, error) {
	if err != nil {
		return Outcome{Error: err.Error()}, err
	}
	return Outcome{OK: true}, nil
}
