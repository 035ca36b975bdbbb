"""Train: one network with chosen settings, live, and looks at what it learned."""
