package probe

import (
	"context"
	"time"
)

// Watch runs a probe again and again until ctx ends, by its delays and
// thresholds, counted from now. It tells each change of the verdict, and begins
// with none; the error is the last attempt's.
func Watch(ctx context.Context, address string, spec Spec, execute Exec, tell func(well bool, err error)) {
	if sleep(ctx, time.Duration(spec.InitialDelaySeconds)*time.Second) != nil {
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
		if now := err == nil; now == well {
			run++
		} else {
			well, run = now, 1
		}
		enough := spec.FailureThreshold
		if well {
			enough = spec.SuccessThreshold
		}
		if run >= enough && (!said || verdict != well) {
			said, verdict = true, well
			tell(well, err)
		}
		select {
		case <-period.C:
		case <-ctx.Done():
			return
		}
	}
}
