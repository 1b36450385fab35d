"""The AI side: who is asked, how each kind of provider is spoken to, and what is done when one fails."""
