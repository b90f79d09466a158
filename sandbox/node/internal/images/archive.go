// Package images puts images into the node's containerd.
//
// The node's own images (pause, CoreDNS) are one static file each.  They are in the node's image once, as
// programs, and become an archive on the way to containerd: no second copy, no engine that packs them.
package images

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// WriteArchive writes what `docker save` would: an image NAME whose only file is program, at its root.
func WriteArchive(out io.Writer, name, program string) error {
	layer, err := packLayer(program)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Entrypoint": []string{"/" + filepath.Base(program)}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(digest[:])}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{
		{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}},
	})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	for _, file := range []struct {
		name string
		data []byte
	}{{"config.json", config}, {"layer.tar", layer}, {"manifest.json", manifest}} {
		if err := add(archive, file.name, 0o644, file.data); err != nil {
			return err
		}
	}
	return archive.Close()
}

func packLayer(program string) ([]byte, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	layer.Grow(len(data) + 4096)
	archive := tar.NewWriter(&layer)
	if err := add(archive, filepath.Base(program), 0o755, data); err != nil {
		return nil, err
	}
	err = archive.Close()
	return layer.Bytes(), err
}

func add(archive *tar.Writer, name string, mode int64, data []byte) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := archive.Write(data)
	return err
}
