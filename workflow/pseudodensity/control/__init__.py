"""The control methods, one file each, in families: select, move, guide, train, and controls.

A method is a module with the literal constants NAME, TITLE, PAPER, SOURCE (equation or algorithm), NEEDS
(columns beside the judges' features), POOL ("model": proposals of the generator; "own": images that the
method makes itself; "moved": images that another method makes of the same latents, with the columns of the
latents; "reals": real images, fresh ones where their law is known; "training": the data set
itself), DEFAULTS (settings that config `methods.<name>` may change; words among them have their known
values in CHOICES), GRID (what its points differ in: key -> sane values, which a paper may replace) and LIMITS
(key of either -> least and most that makes sense; none need be there), and with the functions

- ``points(grid, settings, generator) -> list`` of points, dicts with ``method`` and all that decides what
  is chosen; `grid` and `settings` have every key; `generator` is its declaration;
- ``label(point) -> str`` in the papers' words;
- ``why_not(generator) -> str | None``: why a generator cannot serve it;
- ``proposals(point, images, repeats) -> int``: how many proposals it looks at;
- ``column_settings(point) -> dict``: the settings of each column in NEEDS, and of those that this point
  reads beside them;
- ``choose(pool, point, images, repeats) -> Choice``.

A method with POOL "own" has ``maker(context) -> Maker`` too, and INPUTS, what its job reads (see
`pseudodensity.plan.pools`); it may have ``rows_per_file(point) -> int``, images in one file of its pool. One
with "moved" has ``shown(point) -> Point`` of the method that makes the images, one with "own". The rules read
these modules, so they import torch only inside the functions that compute.
"""
