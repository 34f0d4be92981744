"""The networks: a checkpoint read, its architecture built, a device chosen. Torch begins here."""
