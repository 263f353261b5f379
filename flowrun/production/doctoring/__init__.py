"""The looks that `flowrun doctor` takes at what surrounds a production."""
