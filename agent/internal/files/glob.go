package files

import (
	"fmt"
	"path"
	"strings"
)

// Globs are exclude patterns: as path.Match for each element, and ** for any
// number of elements, none included. A pattern is matched from the root; a
// directory that matches hides all below it. "cache/**" hides what is in
// cache and keeps the directory.
type Globs [][]string

// Compile reads patterns as the file writes them.
func Compile(patterns []string) (Globs, error) {
	compiled := make(Globs, 0, len(patterns))
	for _, pattern := range patterns {
		elements := strings.Split(strings.Trim(path.Clean("/"+pattern), "/"), "/")
		for _, element := range elements {
			if _, err := path.Match(element, ""); err != nil {
				return nil, fmt.Errorf("exclude pattern %q: %w", pattern, err)
			}
		}
		compiled = append(compiled, elements)
	}
	return compiled, nil
}

// Match is whether a path from the root fits one of them.
func (g Globs) Match(name string) bool {
	if len(g) == 0 {
		return false
	}
	elements := strings.Split(name, "/")
	for _, pattern := range g {
		if matchElements(pattern, elements) {
			return true
		}
	}
	return false
}

// matchElements: a trailing ** needs at least one element, so that the
// directory itself stays.
func matchElements(pattern, elements []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			return matchAny(pattern[1:], elements)
		}
		if len(elements) == 0 {
			return false
		}
		if ok, _ := path.Match(pattern[0], elements[0]); !ok {
			return false
		}
		pattern, elements = pattern[1:], elements[1:]
	}
	return len(elements) == 0
}

func matchAny(rest, elements []string) bool {
	if len(rest) == 0 {
		return len(elements) > 0
	}
	for i := 0; i <= len(elements); i++ {
		if matchElements(rest, elements[i:]) {
			return true
		}
	}
	return false
}
