package guard

import "time"

// Expect makes the front look for proofs of the route.
func (g *Guard) Expect(key []byte, span time.Duration) error { return g.front.Expect(key, span) }
