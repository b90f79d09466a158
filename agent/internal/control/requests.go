package control

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/proof"
)

// request is one line of control.
type request struct {
	ID     json.RawMessage `json:"id"`
	Do     string          `json:"do"`
	Epoch  *int64          `json:"epoch"`
	Holder *hold.Holder    `json:"holder"`
	Since  string          `json:"since"`
	Key    []byte          `json:"key"` // base64
	To     string          `json:"to"`
	MS     int64           `json:"ms"`
	Paths  []string        `json:"paths"`
}

// verbs are the requests, and whether they must say an epoch.
var verbs = map[string]bool{
	"hello": false, "inspect": false, "state": false, "expect": false, "prove": false,
	"hold": true, "beat": true, "pause": true, "stop": true,
	"take": true, "intercept": true, "release": true, "ingest": true, "stay": true,
}

// parse reads a line; the refusal says what is wrong with it.
func parse(line []byte) (request, *hold.Error) {
	var asked request
	if json.Unmarshal(line, &asked) != nil {
		return request{}, bad("not a JSON object of the expected kind")
	}
	needsEpoch, known := verbs[asked.Do]
	switch {
	case len(asked.ID) == 0:
		return asked, bad("a request needs an id")
	case !known:
		return asked, &hold.Error{Kind: hold.Unknown, Text: "unknown request: " + asked.Do}
	case needsEpoch && asked.Epoch == nil:
		return asked, bad(asked.Do + " needs an epoch")
	case asked.Do == "hold" && asked.Holder == nil:
		return asked, bad("hold needs a holder")
	case asked.Do == "prove" && (len(asked.Key) != proof.KeySize || asked.To == "" || asked.MS <= 0):
		return asked, bad("prove needs a key of 32 bytes, to and ms")
	}
	return asked, nil
}

func bad(text string) *hold.Error { return &hold.Error{Kind: hold.BadRequest, Text: text} }

// id is null where the request had none.
func (r request) id() json.RawMessage {
	if len(r.ID) == 0 {
		return json.RawMessage("null")
	}
	return r.ID
}

func (s *Server) respond(ctx context.Context, asked request) answer {
	result, err := s.ask(ctx, asked)
	if err != nil {
		return answer{ID: asked.ID, Error: refusal(err)}
	}
	return answer{ID: asked.ID, OK: result}
}

// ask hands a request to the keeper, which alone decides.
func (s *Server) ask(ctx context.Context, asked request) (any, error) {
	switch asked.Do {
	case "hello":
		return s.keeper.Hello(), nil
	case "inspect":
		facts, err := s.keeper.Inspect(ctx)
		facts.Real = realPaths(asked.Paths)
		return facts, err
	case "state":
		return s.keeper.State(), nil
	case "expect":
		if err := s.keeper.Expect(asked.Key, time.Duration(asked.MS)*time.Millisecond); err != nil {
			return nil, bad(err.Error())
		}
		return s.keeper.State(), nil
	case "prove":
		bounded, cancel := context.WithTimeout(ctx, time.Duration(asked.MS)*time.Millisecond)
		defer cancel()
		return proof.Prove(bounded, asked.Key, asked.To), nil
	case "hold":
		return s.keeper.Hold(ctx, hold.Claim{Epoch: *asked.Epoch, Holder: *asked.Holder, Since: asked.Since})
	case "beat":
		return s.keeper.Beat(ctx, *asked.Epoch)
	case "take":
		return s.keeper.Take(ctx, *asked.Epoch, false)
	case "intercept":
		return s.keeper.Take(ctx, *asked.Epoch, true)
	case "pause":
		return s.keeper.Pause(ctx, *asked.Epoch)
	case "stop":
		return s.keeper.Stop(ctx, *asked.Epoch)
	case "stay":
		return s.keeper.Stay(*asked.Epoch, time.Duration(asked.MS)*time.Millisecond)
	case "ingest":
		return s.keeper.Release(ctx, *asked.Epoch, true)
	default: // parse knows no other
		return s.keeper.Release(ctx, *asked.Epoch, false)
	}
}

func refusal(err error) *hold.Error {
	var told *hold.Error
	if errors.As(err, &told) {
		return told
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &hold.Error{Kind: hold.Timeout, Text: err.Error()}
	}
	return &hold.Error{Kind: hold.ChildFailed, Text: err.Error()}
}

// tell sends the state after each change. Changes that come while the client
// is not reading become one.
func (s *Server) tell(ctx context.Context, out *lines) {
	for range s.keeper.Watch(ctx) {
		out.send(stateEvent{Event: "state", State: s.keeper.State()})
	}
}
