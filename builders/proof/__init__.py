"""What a proof is made of besides the comparison: questions to the running copy, witnesses, the page, the evidence."""
