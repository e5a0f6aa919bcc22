package uma

// RequestPage is how many rows a listing reads at a time, each page in a view of its own:
// a client that reads a long list slowly keeps no view open.
const RequestPage = 200

// Pages reads a list page by page and calls each for every row. read returns n rows that
// follow the row last; for the first page last is nil, and the first rows are skipped. Pages
// reads at most `most` rows, all if most < 0.
func Pages[T any](page, first, most int, read func(last *T, first, n int) ([]T, error), each func(*T) error) error {
	var last *T
	first = max(first, 0)
	for most != 0 {
		n := page
		if most > 0 {
			n = min(n, most)
			most -= n
		}
		rows, err := read(last, first, n)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := each(&rows[i]); err != nil {
				return err
			}
		}
		if len(rows) < n {
			return nil
		}
		first, last = 0, &rows[n-1]
	}
	return nil
}
