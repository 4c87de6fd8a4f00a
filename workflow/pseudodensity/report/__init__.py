"""What is written for people: tables, figures and verdicts, from the scores on file. No torch."""
