"""Cases from the field, as data: what came, and what the people who run such a service wanted to happen."""
