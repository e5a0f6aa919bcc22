package uma

// requestPage is how many rows a listing reads at a time, each time in a view of its
// own: a slow reader of a long list holds nothing up.
const RequestPage = 200

// inPages calls each for the rows that read returns, a page of so many at a time: those
// that follow the last one, of the first page from first on, most of them all together
// (< 0: no limit).
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
