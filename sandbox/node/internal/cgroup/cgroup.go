// Package cgroup gives each sandbox a root of its own in the host's control groups, and takes it away.
//
// Two kubelets under one root delete each other's pods' groups.  The hierarchy is the host's, mounted at
// /sys/fs/cgroup: in version 1 a folder for each controller, in version 2 one for all.
package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
)

// Mount is where the host's hierarchy is.
const Mount = "/sys/fs/cgroup"

// Root is the path of a sandbox's group below each hierarchy, as kubelet takes it.
func Root(name string) string { return "/devcluster-sandbox-" + name }

// Prepare makes the group in every hierarchy of mount.
func Prepare(mount, name string) error {
	for _, hierarchy := range hierarchies(mount) {
		err := os.MkdirAll(filepath.Join(hierarchy, Root(name)), 0o755)
		if err != nil && !errors.Is(err, syscall.EROFS) {
			return err
		}
	}
	return nil
}

// Sweep removes the group and all below it from every hierarchy.  The sandbox's container must be gone.
func Sweep(mount, name string) error {
	var failures []error
	for _, hierarchy := range hierarchies(mount) {
		failures = append(failures, sweep(filepath.Join(hierarchy, Root(name))))
	}
	return errors.Join(failures...)
}

func hierarchies(mount string) []string {
	if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err == nil {
		return []string{mount}
	}
	entries, err := filepath.Glob(filepath.Join(mount, "*", "cgroup.procs"))
	if err != nil {
		return nil
	}
	var found []string
	for _, entry := range entries {
		found = append(found, filepath.Dir(entry))
	}
	return found
}

// sweep removes a tree from its leaves on: a group's files can't be deleted, only the folders.
func sweep(root string) error {
	var folders []string
	_ = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return nil
	})
	sort.Slice(folders, func(i, j int) bool {
		return strings.Count(folders[i], "/") > strings.Count(folders[j], "/")
	})
	for _, folder := range folders {
		if err := remove(folder); err != nil {
			return err
		}
	}
	return nil
}

// remove tries for a while: the kernel needs a moment to bury a killed process.
func remove(folder string) error {
	for deadline := time.Now().Add(5 * time.Second); ; {
		err := syscall.Rmdir(folder)
		if err == nil || err == syscall.ENOENT {
			return nil
		}
		if time.Now().After(deadline) {
			return &os.PathError{Op: "rmdir", Path: folder, Err: err}
		}
		time.Sleep(20 * time.Millisecond) // rmdir has no event to wait for
	}
}
