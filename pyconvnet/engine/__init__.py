"""Running networks: a plan of steps, made from a chain or a graph, and one loop for each direction.

step    one layer with the slots that it reads and writes
plan    which slots may be forgotten after which step, and which steps are fused
run     the loops
fusion  fusion of several steps into one kernel
errors  where in the network an error happened
"""
