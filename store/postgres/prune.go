package postgres

import (
	"fmt"

	"example.com/umpire/uma"
)

// countLimit bounds the rows that a refusal counts, to uma.MaxDependents.
var countLimit = fmt.Sprint(` LIMIT `, uma.MaxDependents)
