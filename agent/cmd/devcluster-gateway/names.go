package main

import (
	"encoding/json"
	"errors"
	"strconv"
)

// names is a JSON list of file names. A name that is not UTF-8 comes as Python writes it (PEP 383): each such
// byte as a lone surrogate, \udc80 to \udcff, which encoding/json would replace.
type names []string

func (n *names) UnmarshalJSON(text []byte) error {
	var quoted []json.RawMessage
	if err := json.Unmarshal(text, &quoted); err != nil {
		return err
	}
	*n = make(names, 0, len(quoted))
	for _, each := range quoted {
		name, err := unquote(each)
		if err != nil {
			return err
		}
		*n = append(*n, name)
	}
	return nil
}

func unquote(quoted []byte) (string, error) {
	if len(quoted) < 2 || quoted[0] != '"' {
		return "", errors.New("expected a string")
	}
	rest := string(quoted[1 : len(quoted)-1])
	var result, plain string
	flush := func() error {
		var text string
		err := json.Unmarshal([]byte(`"`+plain+`"`), &text)
		result, plain = result+text, ""
		return err
	}
	for rest != "" {
		size, lone := token(rest)
		if lone == 0 {
			plain, rest = plain+rest[:size], rest[size:]
			continue
		}
		if err := flush(); err != nil {
			return "", err
		}
		result, rest = result+string([]byte{lone}), rest[size:]
	}
	return result, flush()
}

// token gives the length of the first character of a JSON string, and its byte where it stands for one.
func token(text string) (size int, lone byte) {
	if text[0] != '\\' || len(text) < 2 {
		return 1, 0
	}
	if text[1] != 'u' || len(text) < 6 {
		return 2, 0
	}
	value, err := strconv.ParseUint(text[2:6], 16, 16)
	switch {
	case err == nil && value >= 0xdc80 && value <= 0xdcff:
		return 6, byte(value)
	case err == nil && value >= 0xd800 && value <= 0xdbff && len(text) >= 12: // the first half of a pair
		return 12, 0
	}
	return 6, 0
}
