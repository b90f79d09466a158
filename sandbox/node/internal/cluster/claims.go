package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Claims is where the controller-manager's host-path provisioner puts volumes (it has no setting for that).
const Claims = "/tmp/hostpath_pv"

// watchClaims opens each new volume to every user.  The provisioner makes it for root alone, and fsGroup does
// nothing on a host path, so a pod that runs as somebody else could not use its claim; real provisioners
// of local storage make them 0777 too.  The folder is there before the claim is bound, so no pod is earlier.
func watchClaims(ctx context.Context) error {
	watch, err := syscall.InotifyInit1(syscall.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	if _, err := syscall.InotifyAddWatch(watch, Claims, syscall.IN_CREATE); err != nil {
		return fmt.Errorf("watch %s: %w", Claims, err)
	}
	events := os.NewFile(uintptr(watch), "claims")
	context.AfterFunc(ctx, func() { _ = events.Close() })
	openClaims()
	go func() {
		buffer := make([]byte, 64<<10)
		for {
			if _, err := events.Read(buffer); err != nil {
				return
			}
			openClaims()
		}
	}()
	return nil
}

func openClaims() {
	folders, err := filepath.Glob(Claims + "/*")
	if err != nil {
		return
	}
	for _, folder := range folders {
		if info, err := os.Stat(folder); err == nil && info.Mode().Perm() == 0o750 {
			_ = os.Chmod(folder, 0o777) // gone again: nothing to open
		}
	}
}
