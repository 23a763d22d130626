"""Output on the terminal: bars, receipts, tables, and the console that prints them."""
