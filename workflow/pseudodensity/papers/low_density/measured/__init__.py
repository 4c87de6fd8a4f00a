"""What the paper's tables and figures measure of pools of guided images, one experiment each."""
