package probe

import (
	"context"
	"errors"
	"time"
)

// Watch runs a probe again and again until ctx ends, by its delays and
// thresholds; the delay counts from begun, when the application was started. It
// tells each change of the verdict, and begins with none; the error is the last
// attempt's.
func Watch(ctx context.Context, address string, spec Spec, begun time.Time, execute Exec, tell func(well bool, err error)) {
	if sleep(ctx, time.Until(begun.Add(time.Duration(spec.InitialDelaySeconds)*time.Second))) != nil {
		return
	}
	period := time.NewTicker(time.Duration(spec.PeriodSeconds) * time.Second)
	defer period.Stop()
	said, well, run := false, false, 0
	var verdict bool
	for {
		err := Run(ctx, address, spec, execute)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, ErrNotMade) {
			if now := err == nil; now == well {
				run++
			} else {
				well, run = now, 1
			}
			if run >= spec.enough(well) && (!said || verdict != well) {
				said, verdict = true, well
				tell(well, err)
			}
		}
		select {
		case <-period.C:
		case <-ctx.Done():
			return
		}
	}
}

// enough is the threshold for a verdict.
func (s Spec) enough(well bool) int {
	if well {
		return s.SuccessThreshold
	}
	return s.FailureThreshold
}
