// Package dns answers the local pod's questions as the pod's own resolver would.
//
// Questions and answers cross as raw bytes: what the pod's resolver says is what the application gets,
// record types and flags that nobody here knows included. Only the question's name and the answer's code
// are read, for the exceptions: names that the file gives to the laptop, and full names that the pod can't
// resolve and the laptop may.
//
// The naive way, answering with a resolver library of our own, loses SRV, search lists and negative
// answers, on which applications rely.
package dns

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// HostName is Docker's name for the laptop.
const HostName = "host.docker.internal"

// hostTTL is in seconds; the address lives as long as the docker network.
const hostTTL = 60

// ErrNotFound is the laptop's answer for a name that it does not know either.
var ErrNotFound = errors.New("the laptop does not know the name")

// Found is the laptop's answer.
type Found struct {
	Addresses []netip.Addr
	TTL       time.Duration
}

// Resolver decides who answers a question. Its methods may be called concurrently.
type Resolver struct {
	// Upstream asks the pod's resolver; bytes in, bytes out.
	Upstream func(ctx context.Context, query []byte) ([]byte, error)
	// Laptop asks the laptop's resolver for IPv4 addresses.
	Laptop func(ctx context.Context, name string) (Found, error)
	// Remember is told each address that the laptop gave: connections to it leave by the laptop too.
	Remember func(address netip.Addr, ttl time.Duration)
	// IsLocal tells names that belong to the laptop.
	IsLocal func(name string) bool
	// Inside are domains whose names only the pod resolves: the cluster's and the search list.
	Inside []string
	// Host is the address of HostName.
	Host netip.Addr
}

// Answer gives the answer to query, or nil where query is not a question.
func (r *Resolver) Answer(ctx context.Context, query []byte) []byte {
	asked, err := parseQuestion(query)
	if err != nil {
		return nil
	}
	if asked.name == HostName && r.Host.IsValid() && asked.wantsAddress() {
		return asked.addresses(Found{Addresses: []netip.Addr{r.Host}, TTL: hostTTL * time.Second})
	}
	if asked.wantsAddress() && r.IsLocal(asked.name) {
		return r.askLaptop(ctx, asked, nil)
	}
	answer, err := r.Upstream(ctx, query)
	if err != nil {
		return asked.code(dnsmessage.RCodeServerFailure)
	}
	if asked.wantsAddress() && isFailure(answer) && r.mayFallBack(asked.name) {
		return r.askLaptop(ctx, asked, answer)
	}
	return answer
}

// askLaptop answers with the laptop's addresses. Where it has none the pod's answer stands; without one it is
// NXDOMAIN, or SERVFAIL where the laptop could not be asked.
func (r *Resolver) askLaptop(ctx context.Context, asked question, pods []byte) []byte {
	found, err := r.Laptop(ctx, asked.name)
	switch {
	case err == nil && len(found.Addresses) > 0:
		for _, address := range found.Addresses {
			r.Remember(address, found.TTL)
		}
		return asked.addresses(found)
	case pods != nil:
		return pods
	case err == nil || errors.Is(err, ErrNotFound):
		return asked.code(dnsmessage.RCodeNameError)
	default:
		return asked.code(dnsmessage.RCodeServerFailure)
	}
}

// mayFallBack: a full name outside the cluster. A bare word would be answered by the laptop's own search list
// or by a neighbour in its network, which is never what the pod means.
func (r *Resolver) mayFallBack(name string) bool {
	if !strings.Contains(name, ".") {
		return false
	}
	for _, domain := range r.Inside {
		if within(name, domain) {
			return false
		}
	}
	return true
}

func within(name, domain string) bool {
	domain = strings.ToLower(strings.Trim(domain, "."))
	return domain != "" && (name == domain || strings.HasSuffix(name, "."+domain))
}

// MatchAny tells whether name matches a pattern: a name, or `*.` and a domain for every name below it.
func MatchAny(patterns []string, name string) bool {
	for _, pattern := range patterns {
		pattern = strings.ToLower(strings.TrimSuffix(pattern, "."))
		if domain, wild := strings.CutPrefix(pattern, "*."); wild {
			if name != domain && within(name, domain) {
				return true
			}
		} else if name == pattern {
			return true
		}
	}
	return false
}
