"""What the paper's tables and figures measure of pools of rare images, one experiment each."""
