"""The first look: pseudo density and its methods on a generator of faces, in one picture."""
