"""The door for programs written for A1111: ``routes.router`` over a studio."""
