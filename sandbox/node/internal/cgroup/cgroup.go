// Package cgroup gives each sandbox a root of its own in the host's control groups, and takes it away.
//
// Two kubelets under one root delete each other's pods' groups.  The hierarchy is the host's, mounted at
// /sys/fs/cgroup: in version 1 a folder for each controller, in version 2 one for all.
package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"
)

// Mount is where the host's hierarchy is.
const Mount = "/sys/fs/cgroup"

// Root is the path of a sandbox's group below each hierarchy, as kubelet takes it.
func Root(name string) string { return "/devcluster-sandbox-" + name }

// controllers are what kubelet wants to find enabled in a group of version 2.
var controllers = []string{"cpu", "cpuset", "memory", "pids", "hugetlb"}

// Prepare makes the group in every hierarchy of mount.  In version 2 a group has the controllers that the one
// above passes down: what the root does not pass yet is asked of it, and passed on to the pods.
func Prepare(mount, name string) error {
	for _, hierarchy := range hierarchies(mount) {
		group := filepath.Join(hierarchy, Root(name))
		passDown(hierarchy)
		if err := os.MkdirAll(group, 0o755); err != nil && !errors.Is(err, syscall.EROFS) {
			return err
		}
		passDown(group)
	}
	return nil
}

// passDown enables each controller that the group has for the groups below it.  One that the kernel refuses
// (realtime processes hold cpu back) is not worth a failure here: kubelet says by name what it lacks.
func passDown(group string) {
	text, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return // version 1
	}
	for _, controller := range strings.Fields(string(text)) {
		if slices.Contains(controllers, controller) {
			_ = enable(filepath.Join(group, "cgroup.subtree_control"), controller)
		}
	}
}

func enable(file, controller string) error {
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = out.WriteString("+" + controller + "\n")
	return errors.Join(err, out.Close())
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
