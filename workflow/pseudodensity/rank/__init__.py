"""The images of a data set by pseudo density: table, picture and gallery, from a job or from a command."""
