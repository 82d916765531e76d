"""The trained result: its card, its curves, its zip, and the tuned model beside the original."""
