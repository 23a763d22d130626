"""What the terminal shows: bars, receipts, tables, and the console that prints them."""
