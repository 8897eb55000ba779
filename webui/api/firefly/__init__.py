"""The door in Adobe Firefly's manner: ``routes.router`` over a studio."""
