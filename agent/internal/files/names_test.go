package files

import (
	"encoding/json"
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
