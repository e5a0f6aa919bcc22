package copier_test

import (
	"testing"

	"example.com/umpire/store/copier"
)

func TestCopy(t *testing.T) {
	t.Parallel()
	from := source(t, filled(t))
	withTarget(t, newPath(t), func(to copier.Target) {
		report, err := copier.Copy(t.Context(), from, to, silent)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range report.Tables {
			if table.Rows == 0 {
				t.Errorf("there is nothing in %s", table.Name)
			}
			t.Logf("%+v", table)
		}
	})
}
