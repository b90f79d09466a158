// Command coredns is CoreDNS with the plugins that a small cluster needs and no others.
package main

import (
	_ "github.com/coredns/coredns/plugin/cache"       // answers again without asking
	_ "github.com/coredns/coredns/plugin/errors"      // says what failed
	_ "github.com/coredns/coredns/plugin/forward"     // names outside the cluster
	_ "github.com/coredns/coredns/plugin/health"      // liveness
	_ "github.com/coredns/coredns/plugin/hosts"       // fixed names, for tests
	_ "github.com/coredns/coredns/plugin/kubernetes"  // cluster.local
	_ "github.com/coredns/coredns/plugin/loadbalance" // turns the order of addresses
	_ "github.com/coredns/coredns/plugin/log"         // each query, for tests
	_ "github.com/coredns/coredns/plugin/loop"        // for a Corefile of one's own
	_ "github.com/coredns/coredns/plugin/ready"       // readiness
	_ "github.com/coredns/coredns/plugin/reload"      // a changed Corefile
	_ "github.com/coredns/coredns/plugin/whoami"      // who asks, for tests

	"github.com/coredns/coredns/coremain"
)

func main() { coremain.Run() }
