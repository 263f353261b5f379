"""Doing: a pure scheduler behind one door, attempts that can be taken up anywhere, one driver that carries orders out."""
