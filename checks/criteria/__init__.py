"""The criteria that come with Cutover, one function each: evidence in, verdict out."""
