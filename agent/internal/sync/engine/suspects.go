package engine

import (
	"maps"
	"path"
	"slices"

	"devcluster/agent/internal/files"
	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
)

// suspects are names by which a database's folder is known. One may come to be long after the volume was looked at.
type suspects struct {
	names files.Globs
	seen  map[string]bool
}

func (s *suspects) note(told volume.Told) {
	isThere := told.Item.Kind == volume.File || told.Item.Kind == volume.Dir
	if isThere && s.names.Match(path.Base(told.Path)) {
		s.seen[told.Path] = true
	}
}

// left are those that are still there, on a side.
func (s *suspects) left(tree *decide.Tree) names {
	list := names{}
	for _, path := range slices.Sorted(maps.Keys(s.seen)) {
		n := tree.Find(path)
		if n == nil || n.View[decide.Pod].Item.Kind == volume.None && n.View[decide.Laptop].Item.Kind == volume.None {
			delete(s.seen, path)
		} else if len(list) < mostNamed {
			list = append(list, path)
		}
	}
	return list
}
