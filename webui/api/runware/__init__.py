"""The door in Runware's manner: ``routes.router`` over a studio."""
