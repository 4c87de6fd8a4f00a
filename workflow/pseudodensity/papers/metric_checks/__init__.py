"""Which metric can be trusted where: every score against laws whose answer is known."""
