package main

import (
	"context"
	"net"
	"slices"
	"time"
)

// Resolved is what the system's resolver says of one name.
type Resolved struct {
	Addresses []string `json:"addresses"`
	Error     string   `json:"error,omitempty"`
}

// resolve asks for each name as any program does: with the search list of resolv.conf.
func resolve(ctx context.Context, names []string) map[string]Resolved {
	found := map[string]Resolved{}
	for _, name := range names {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		addresses, err := net.DefaultResolver.LookupHost(ctx, name)
		cancel()
		slices.Sort(addresses)
		result := Resolved{Addresses: addresses}
		if err != nil {
			result.Error = err.Error()
		}
		found[name] = result
	}
	return found
}
