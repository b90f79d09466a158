package sockets

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	requestSize = 56      // inet_diag_req_v2
	answerSize  = 72      // inet_diag_msg
	tcpListen   = 1 << 10 // of the states that are asked for
	buffer      = 32 << 10
)

// ask has the kernel tell who listens for TCP.
func ask(found map[string]place) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		if err := unix.Sendto(fd, request(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return os.NewSyscallError("sendto", err)
		}
		if err := hear(fd, found); err != nil {
			return err
		}
	}
	return nil
}

// request is for all sockets of a family that listen: nlmsghdr, then inet_diag_req_v2, which has family, protocol,
// two bytes and the states.
func request(family byte) []byte {
	order, asked := binary.NativeEndian, make([]byte, unix.NLMSG_HDRLEN+requestSize)
	order.PutUint32(asked, uint32(len(asked)))
	order.PutUint16(asked[4:], unix.SOCK_DIAG_BY_FAMILY)
	order.PutUint16(asked[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := asked[unix.NLMSG_HDRLEN:]
	body[0], body[1] = family, unix.IPPROTO_TCP
	order.PutUint32(body[4:], tcpListen)
	return asked
}

// hear reads the answers to one request.
func hear(fd int, found map[string]place) error {
	read := make([]byte, buffer)
	for {
		n, _, err := unix.Recvfrom(fd, read, 0)
		if err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		messages, err := syscall.ParseNetlinkMessage(read[:n])
		if err != nil {
			return fmt.Errorf("netlink: %w", err)
		}
		for _, message := range messages {
			switch message.Header.Type {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				return endOf(message.Data)
			case unix.SOCK_DIAG_BY_FAMILY:
				if inode, at, ok := parseAnswer(message.Data); ok {
					found[inode] = place{AddrPort: at}
				}
			}
		}
	}
}

// endOf is what the last message says: an errno, negative, or nothing.
func endOf(data []byte) error {
	if len(data) < 4 {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(data)); code < 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// parseAnswer reads inet_diag_msg: family, state, two bytes, the port and at 8 its address, both as they travel,
// and at 68 the inode.
func parseAnswer(data []byte) (inode string, at netip.AddrPort, ok bool) {
	if len(data) < answerSize {
		return "", at, false
	}
	size := 4
	if data[0] == unix.AF_INET6 {
		size = 16
	}
	address, _ := netip.AddrFromSlice(data[8 : 8+size])
	number := binary.NativeEndian.Uint32(data[68:])
	at = netip.AddrPortFrom(address.Unmap(), binary.BigEndian.Uint16(data[4:]))
	return strconv.FormatUint(uint64(number), 10), at, true
}
