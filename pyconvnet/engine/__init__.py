"""How networks run: a plan of steps, made from a chain or a graph, and one loop for each direction that plays it.

step    one layer with the slots that it reads and writes
plan    what may be forgotten after which step, and which steps run as one
run     the loops
fusion  steps that run as one
errors  where in the network an error happened
"""
