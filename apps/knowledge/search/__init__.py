"""Which passages answer a question: words by BM25, meaning by vectors, fused. See `ranking` for the formulas."""
