"""What is known of the images of a pool, one file for each kind of column.

A pool is a folder of columns. Every pool has the judges' features and the pseudo density of each image
(``described``); all else is a column of its own, made when somebody asks for it, from the same latents
or the same images: asking for one more draws nothing again and changes none that are there.

A column is a module of this package with the literal constants NAME, TITLE, INPUTS (what its job reads
beside the pool: see `pseudodensity.plan.pools.Pools.column`), COVERS ("parts": a column is made for whole parts
of a pool; "rows": it is dear, and made for no more rows than asked) and DEFAULTS (its settings), and a
function ``compute(context, rows) -> Column``.
"""
