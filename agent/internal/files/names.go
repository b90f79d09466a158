package files

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Names is a JSON list of file names as Python writes it (PEP 383): a byte that
// is not UTF-8 is a lone surrogate, \udc80 to \udcff, which encoding/json would
// replace.
type Names []string

// UnmarshalJSON reads a list of strings; null leaves it as it is, absent.
func (n *Names) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	var quoted []json.RawMessage
	if err := json.Unmarshal(text, &quoted); err != nil {
		return err
	}
	names := make(Names, 0, len(quoted))
	for _, each := range quoted {
		name, err := unquote(each)
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	*n = names
	return nil
}

// MarshalJSON writes them as they are read.
func (n Names) MarshalJSON() ([]byte, error) {
	quoted := make([]Name, len(n))
	for i, name := range n {
		quoted[i] = Name(name)
	}
	return json.Marshal(quoted)
}

// Name is one of Names.
type Name string

// MarshalJSON writes a string that Python reads as a file name.
func (n Name) MarshalJSON() ([]byte, error) {
	quoted := []byte{'"'}
	for rest := string(n); rest != ""; {
		valid := 0
		for valid < len(rest) {
			letter, size := utf8.DecodeRuneInString(rest[valid:])
			if letter == utf8.RuneError && size == 1 {
				break
			}
			valid += size
		}
		text, err := json.Marshal(rest[:valid])
		if err != nil {
			return nil, err
		}
		quoted = append(quoted, text[1:len(text)-1]...)
		if rest = rest[valid:]; rest != "" {
			quoted = fmt.Appendf(quoted, `\udc%02x`, rest[0])
			rest = rest[1:]
		}
	}
	return append(quoted, '"'), nil
}

func unquote(quoted []byte) (string, error) {
	if len(quoted) < 2 || quoted[0] != '"' {
		return "", errors.New("expected a string")
	}
	if !bytes.Contains(quoted, []byte(`\u`)) {
		return plain(quoted[1 : len(quoted)-1])
	}
	var name []byte
	rest := quoted[1 : len(quoted)-1]
	for start := 0; ; {
		size, lone := token(rest[start:])
		if size > 0 && lone == 0 {
			start += size
			continue
		}
		text, err := plain(rest[:start])
		if err != nil || size == 0 {
			return string(name) + text, err
		}
		name = append(append(name, text...), lone)
		rest, start = rest[start+size:], 0
	}
}

func plain(inner []byte) (text string, err error) {
	err = json.Unmarshal([]byte(`"`+string(inner)+`"`), &text)
	return text, err
}

// token gives the length of the first character of a JSON string, and the byte
// that it stands for where it is a lone surrogate; 0 at the end.
func token(text []byte) (size int, lone byte) {
	switch {
	case len(text) == 0:
		return 0, 0
	case text[0] != '\\' || len(text) < 2:
		return 1, 0
	case text[1] != 'u' || len(text) < 6:
		return 2, 0
	}
	value, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	switch {
	case err == nil && value >= 0xdc80 && value <= 0xdcff:
		return 6, byte(value)
	case err == nil && value >= 0xd800 && value <= 0xdbff && len(text) >= 12: // the first half of a pair
		return 12, 0
	}
	return 6, 0
}
