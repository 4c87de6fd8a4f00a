"""Judge what methods choose: scores of sets of images, and what each method costs."""
