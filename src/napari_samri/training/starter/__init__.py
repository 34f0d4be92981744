"""How the starter in the package was trained: on made-up slices, without a patient."""
