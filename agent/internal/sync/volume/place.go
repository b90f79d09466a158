package volume

import (
	"bufio"
	"errors"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// errPath is for a path that no side sends by itself.
var errPath = errors.New("a path leads out of the volume")

// clean is whether a path is one below the root, or ".".
func clean(name string) bool {
	return name == "." || name != "" && name[0] != '/' && path.Clean(name) == name &&
		name != ".." && !strings.HasPrefix(name, "../") && !strings.Contains(name, "\x00")
}

// split gives the folder and the name in it.
func split(name string) (folder, base string) { return path.Dir(name), path.Base(name) }

// join is the path of a name in a folder.
func join(folder, base string) string {
	if folder == "." {
		return base
	}
	return folder + "/" + base
}

// open gives the folder of a path: each step is opened by itself and never through a link, so that a link that
// was put there meanwhile leads nowhere, and never into another mount.
func (v *Volume) open(folder string) (int, error) {
	if !clean(folder) {
		return -1, errPath
	}
	if v.mounted[folder] {
		return -1, unix.EXDEV
	}
	at, err := unix.Openat(v.root, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if folder == "." || err != nil {
		return at, err
	}
	for end, rest := 0, folder; rest != ""; {
		step, after, _ := strings.Cut(rest, "/")
		end += len(step)
		if v.mounted[folder[:end]] {
			_ = unix.Close(at)
			return -1, unix.EXDEV
		}
		next, err := unix.Openat(at, step, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		_ = unix.Close(at)
		if err != nil {
			return -1, err
		}
		at, rest, end = next, after, end+1
	}
	return at, nil
}

// stat looks at a name in an opened folder. What is not there is an Item of no kind.
func (v *Volume) stat(at int, name, base string) (Item, error) {
	var st unix.Stat_t
	err := unix.Fstatat(at, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return Item{}, nil
	}
	if err != nil {
		return Item{}, err
	}
	item := describe(&st)
	if v.mounted[name] {
		return Item{Kind: Other, Inode: item.Inode}, nil
	}
	if item.Kind == Link {
		if item.Link, err = readLink(at, base); errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
			return v.stat(at, name, base) // another one by now
		}
	}
	return v.owners.shown(item), err
}

func readLink(at int, base string) (string, error) {
	for size := 256; ; size *= 2 {
		buffer := make([]byte, size)
		n, err := unix.Readlinkat(at, base, buffer)
		if err != nil || n < size {
			return string(buffer[:max(n, 0)]), err
		}
	}
}

// mountsBelow are the paths in root, relative to it, on which something else is mounted.
func mountsBelow(root string) (map[string]bool, error) {
	table, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer func() { _ = table.Close() }()
	found := map[string]bool{}
	prefix := strings.TrimSuffix(root, "/") + "/"
	for lines := bufio.NewScanner(table); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if inside, below := strings.CutPrefix(unescape(fields[4]), prefix); below {
			found[inside] = true
		}
	}
	return found, nil
}

// unescape reads the octal escapes of mountinfo.
func unescape(text string) string {
	var out strings.Builder
	for at := 0; at < len(text); at++ {
		if text[at] == '\\' && at+3 < len(text) {
			if code, err := strconv.ParseUint(text[at+1:at+4], 8, 8); err == nil {
				out.WriteByte(byte(code))
				at += 3
				continue
			}
		}
		out.WriteByte(text[at])
	}
	return out.String()
}
