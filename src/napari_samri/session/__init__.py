"""The controller of one annotation session: no GUI, no torch.

An intent changes the state and, where a mask is needed, makes a frozen request; an answer
that comes late, to a request that is no longer the current one, is dropped.
"""
