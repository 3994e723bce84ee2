"""Results for a person: one drawer a verb, and the few shapes that they are drawn with."""
