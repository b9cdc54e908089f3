"""信用分级分类监管 · credit-based supervision, from records to a verified draw."""
