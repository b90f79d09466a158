package files

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		`["a\"b"]`: `a"b`, `["\u00e4\n"]`: "ä\n", `["\ud83d\ude00x"]`: "😀x",
		`["caf\udce9/\udcff"]`: "caf\xe9/\xff", `["\\udce9"]`: `\udce9`, `[""]`: "", `["ä"]`: "ä",
	} {
		var got Names
		if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
	}
	odd := Names{"a\"b\n", "\xff", "caf\xe9/ä\xf0\x9f\x98\x80", `\udce9`, "", "\ufffd<&>"}
	var again Names
	written, err := json.Marshal(odd)
	if err == nil {
		err = json.Unmarshal(written, &again)
	}
	if err != nil || !slices.Equal(odd, again) {
		t.Errorf("%s: got %q, %v", written, again, err)
	}
	var none struct{ Paths Names }
	if err := json.Unmarshal([]byte(`{"Paths":null}`), &none); err != nil || none.Paths != nil {
		t.Errorf("null: %v, %v", none.Paths, err)
	}
	for _, text := range []string{`[1]`, `"a"`, `[null]`} {
		var got Names
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: expected an error", text)
		}
	}
}
