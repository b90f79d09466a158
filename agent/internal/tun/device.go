// Package tun is the local pod's way out: a TUN device that takes the default route of the network
// namespace, and a netstack behind it that turns each flow into a request.
//
// A connection is answered by the netstack only after the other side has been reached, so a refused
// connection is refused and a time-out is a time-out. The naive way, a redirect to a local listener,
// accepts first: everything that waits for a port by connecting to it is fooled.
//
// The device is not persistent. When the process ends, the device and the default route go with it,
// and nothing of the workload's traffic finds another way.
package tun

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// DeviceName is the interface's name in the local pod.
const DeviceName = "dc0"

// MTU is the largest the kernel gives a TUN device, rounded down to 16 bytes: fewer, larger packets.
const MTU = 65520

const devicePath = "/dev/net/tun"

// OpenDevice creates the TUN device and returns its descriptor, non-blocking.
func OpenDevice(name string) (int, error) {
	fd, err := unix.Open(devicePath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return -1, fmt.Errorf("%s is missing in the gateway's container: load the kernel module tun (modprobe tun) and give the container the device", devicePath)
	}
	if errors.Is(err, os.ErrPermission) {
		return -1, fmt.Errorf("%s can't be opened (%v): give the gateway's container the device with rights rw", devicePath, err)
	}
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", devicePath, err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("device name %q: %w", name, err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		_ = unix.Close(fd)
		return -1, describeCreate(name, err)
	}
	return fd, nil
}

func describeCreate(name string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("create TUN device %s: %w: the gateway's container needs the capability NET_ADMIN", name, err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("create TUN device %s: %w: another gateway runs in this network namespace, stop it first", name, err)
	}
	return fmt.Errorf("create TUN device %s: %w", name, err)
}
