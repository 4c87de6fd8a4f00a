"""The control methods, in families: select, move, guide, train. One method is one file."""
