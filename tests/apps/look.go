package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Seen is what stands under one name, as far as a copy must have it too.
type Seen struct {
	Mode    string `json:"mode"` // as ls writes it
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	Links   uint64 `json:"links"`
	MtimeNS int64  `json:"mtime_ns"`
	SHA256  string `json:"sha256,omitempty"` // of a file's bytes
	Link    string `json:"link,omitempty"`   // a symbolic link's target
}

// look tells of each path, and of all below it; what is not there is left out.
func look(paths []string) (map[string]Seen, error) {
	found := map[string]Seen{}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			seen, err := lookAt(name, entry)
			found[name] = seen
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			return found, err
		}
	}
	return found, nil
}

func lookAt(name string, entry fs.DirEntry) (Seen, error) {
	info, err := entry.Info()
	if err != nil {
		return Seen{}, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	seen := Seen{
		Mode: info.Mode().String(), UID: stat.Uid, GID: stat.Gid,
		Links: uint64(stat.Nlink), MtimeNS: stat.Mtim.Nano(),
	}
	switch {
	case info.Mode().IsRegular():
		content, err := os.ReadFile(name)
		if err != nil {
			return seen, err
		}
		sum := sha256.Sum256(content)
		seen.SHA256 = hex.EncodeToString(sum[:])
	case info.Mode()&fs.ModeSymlink != 0:
		if seen.Link, err = os.Readlink(name); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// put writes a file in place: what is there keeps its inode, as with an editor that does not rename.
func put(path, text string) error {
	return os.WriteFile(path, []byte(text), 0o644)
}

// lastWords leaves the host's name in a file when the server was asked to end.
func lastWords() error {
	path := os.Getenv("LAST_WORDS")
	if path == "" {
		return nil
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	return put(path, name)
}
