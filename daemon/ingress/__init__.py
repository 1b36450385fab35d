"""The webhook door: who may post, what a payload means in neutral words, what is kept aside, and which LID is which
phone. Imports no concrete gateway and no store."""
