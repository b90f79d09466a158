package control

import (
	"os"
	"slices"
	"testing"
)

func TestFiguresAreCorrectedWhereTheyAreRaised(t *testing.T) {
	t.Setenv("MEM", "304")
	t.Setenv("SET", "300")
	figures := []Figure{{"MEM", "304", "256"}, {"SET", "304", "256"}, {"ABSENT", "304", "256"}}
	if err := Correct(figures); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("MEM") != "256" || os.Getenv("SET") != "300" {
		t.Error(os.Getenv("MEM"), os.Getenv("SET"))
	}
	if _, set := os.LookupEnv("ABSENT"); set {
		t.Error("a variable was made")
	}
	raw := []string{"A=304", "MEM=304", "MEM=", "SET=300", "MEM"}
	want := []string{"A=304", "MEM=256", "MEM=", "SET=300", "MEM"}
	if got := corrected(raw, figures); !slices.Equal(got, want) {
		t.Error(got)
	}
	if raw[1] != "MEM=304" {
		t.Error("the entries were changed in place")
	}
}
